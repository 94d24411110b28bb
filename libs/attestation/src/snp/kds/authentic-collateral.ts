import { equalBytes } from '../../bytes.js';
import { Refusal } from '../../refusal.js';
import { decodePemCertificates } from '../../x509/pem.js';
import { type AmdCertificate, isSelfIssued, parseAmdCertificate, requireIssued } from '../amd-certificate.js';
import { parseAmdRevocationList } from '../amd-revocation-list.js';
import { isAmdSigned } from '../amd-signature.js';
import { readEndorsementKey } from '../endorsement-key.js';
import { equalTcb } from '../tcb-version.js';
import { requireSnpAnchor, type SnpTrustAnchor } from '../trust-anchor.js';
import type { VcekAddress } from './urls.js';

/** The signing key of a product line with the CRL of its root, both known to lead to a trust anchor. */
export interface SnpIssuers {
  /** ASK or ASVK, DER. */
  readonly signerDer: Uint8Array;
  readonly signer: AmdCertificate;
  readonly revocationList: Uint8Array;
  readonly notAfter: Date;
}

/** @throws Refusal unless chain and CRL are genuine; dates are the verifier's business. */
export function readIssuers(chainPem: Uint8Array, crlDer: Uint8Array, anchors: readonly SnpTrustAnchor[]): SnpIssuers {
  const text = Buffer.from(chainPem).toString('latin1');
  const certificates = decodePemCertificates(text, 'the certificate chain').map(parseAmdCertificate);
  const signer = certificates.find((certificate) => !isSelfIssued(certificate));
  const root = certificates.find(isSelfIssued);
  if (signer === undefined || root === undefined || certificates.length !== 2) {
    throw new Refusal('CHAIN_FORMAT', 'the certificate chain is not a signing key and a root');
  }
  requireSnpAnchor(root, signer, anchors);
  requireIssued(signer, root, 1, 'the signing key');
  const crl = parseAmdRevocationList(crlDer);
  if (!root.crlSign || !isAmdSigned(crl, root)) throw new Refusal('CRL_INVALID', 'the root did not sign the CRL');
  return { signerDer: signer.der, signer, revocationList: crlDer, notAfter: crl.nextUpdate };
}

/** End of validity of a VCEK. @throws Refusal unless it is genuine and of the chip and levels asked for */
export function readVcek(der: Uint8Array, { product, chipId, tcb }: VcekAddress, signer: AmdCertificate): Date {
  const certificate = parseAmdCertificate(der);
  requireIssued(certificate, signer, 0, 'the endorsement key');
  const key = readEndorsementKey(certificate);
  const chip = key.hardwareId;
  const rightChip = chip !== null && equalBytes(chipId.subarray(0, chip.length), chip);
  if (key.product !== product || !rightChip || !equalTcb(key.tcb, tcb)) {
    throw new Refusal('SNP_KEY_MISMATCH', 'the endorsement key is not the one that was asked for');
  }
  return certificate.notAfter;
}
