import { AsnConvert } from '@peculiar/asn1-schema';
import { CertificateList, CRLNumber, RevokedCertificate, TBSCertList, Time, Version } from '@peculiar/asn1-x509';
import { authorityKeyIdentifier, extension, type Signer } from './certificate.js';
import { simulatorName } from './distinguished-name.js';
import { arrayBufferOf, ecdsaWithSha256, signDer } from './x509-signature.js';

export interface CrlRequest {
  readonly issuer: Signer;
  /** Monotonic, 1 or more. */
  readonly number: number;
  readonly thisUpdate: Date;
  readonly nextUpdate: Date;
  /** Serial numbers, big-endian bytes. */
  readonly revoked: readonly Uint8Array[];
}

const CRL_NUMBER = '2.5.29.20';
const AUTHORITY_KEY_IDENTIFIER = '2.5.29.35';

/** A signed version 2 CRL with CRL number and AKI (RFC 5280 §5), DER. */
export function issueCrl(request: CrlRequest): Uint8Array {
  const tbsCertList = new TBSCertList({
    version: Version.v2,
    signature: ecdsaWithSha256(),
    issuer: simulatorName(request.issuer.commonName),
    thisUpdate: new Time(request.thisUpdate),
    nextUpdate: new Time(request.nextUpdate),
    crlExtensions: [
      extension(CRL_NUMBER, false, AsnConvert.serialize(new CRLNumber(request.number))),
      extension(AUTHORITY_KEY_IDENTIFIER, false, authorityKeyIdentifier(request.issuer.privateKey)),
    ],
  });
  // An empty list must be absent, not an empty SEQUENCE (RFC 5280 §5.1.2.6).
  if (request.revoked.length > 0) {
    tbsCertList.revokedCertificates = request.revoked.map(
      (serial) =>
        new RevokedCertificate({
          userCertificate: arrayBufferOf(serial),
          revocationDate: new Time(request.thisUpdate),
        }),
    );
  }
  const list = new CertificateList({
    tbsCertList,
    signatureAlgorithm: ecdsaWithSha256(),
    signature: signDer(AsnConvert.serialize(tbsCertList), request.issuer.privateKey),
  });
  return new Uint8Array(AsnConvert.serialize(list));
}
