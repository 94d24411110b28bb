import type { CertificateUsage } from '../certificate-request.js';
import type { P256Key } from '../p256.js';
import { p256FromScalar, wipeP256 } from '../p256.js';
import type { RootKeys } from '../root-keys.js';
import { type MintedCertificate, mintCertificate, type WrappedExtension } from './certificate.js';

/** Extensions of dstack's RA-TLS profile (dstack-kms §8). */
const OID_APP_ID = '1.3.6.1.4.1.62397.1.3';
const OID_SPECIAL_USAGE = '1.3.6.1.4.1.62397.1.4';
const OID_ATTESTATION = '1.3.6.1.4.1.62397.1.8';
const OID_APP_INFO = '1.3.6.1.4.1.62397.1.9';

const ROOT_CA = { organization: 'Dstack', commonName: 'Dstack KMS CA' } as const;
const APP_CA = { organization: 'Dstack', commonName: 'Dstack App CA' } as const;
const TEMP_CA = { organization: 'Dstack', commonName: 'Dstack Client Temp CA' } as const;
/** dstack's start of validity unless a request says otherwise. */
const EPOCH_1975 = new Date('1975-01-01T00:00:00Z');
const DAY_MS = 86_400_000;
const VALIDITY_DAYS = 3650;

/** The KMS root CA certificate, self-signed, path length 1. Deterministic but for `now` and the signature nonce. */
export function mintRootCa(root: RootKeys, now: Date): MintedCertificate {
  return useRootCaKey(root, (key) =>
    mintCertificate({
      subject: ROOT_CA,
      subjectSpki: key.spki,
      issuer: ROOT_CA,
      issuerSpki: key.spki,
      issuerKey: key.privateKey,
      notBefore: EPOCH_1975,
      notAfter: afterDays(now, VALIDITY_DAYS),
      ca: { pathLength: 1 },
    }),
  );
}

/** The App CA certificate of an app (20-byte id), signed by the root CA key, path length 0, usage `app:ca`. */
export function mintAppCa(root: RootKeys, appCaKey: P256Key, appId: Uint8Array, now: Date): MintedCertificate {
  return useRootCaKey(root, (key) =>
    mintCertificate({
      subject: APP_CA,
      subjectSpki: appCaKey.spki,
      issuer: ROOT_CA,
      issuerSpki: key.spki,
      issuerKey: key.privateKey,
      notBefore: EPOCH_1975,
      notAfter: afterDays(now, VALIDITY_DAYS),
      ca: { pathLength: 0 },
      wrappedExtensions: appExtensions(appId, 'app:ca'),
    }),
  );
}

export interface AppLeaf {
  readonly appCaKey: P256Key;
  /** 20 bytes. */
  readonly appId: Uint8Array;
  /** DER SubjectPublicKeyInfo, P-256. */
  readonly publicKey: Uint8Array;
  /** Common name; may be empty. */
  readonly subject: string;
  readonly organization?: string;
  readonly altNames: readonly string[];
  readonly usages: readonly CertificateUsage[];
  readonly now: Date;
  /** Absent: 1975-01-01, as dstack does. */
  readonly notBefore?: Date;
  /** Absent: 3650 days after `now`. */
  readonly notAfter?: Date;
  /** VersionedAttestation bytes for extension .8. */
  readonly attestation?: Uint8Array;
  /** AppInfo bytes (MessagePack) for extension .9. */
  readonly appInfo?: Uint8Array;
}

/** An app's leaf certificate, signed by its App CA key: app id and usage `app:custom`. */
export function mintAppLeaf(leaf: AppLeaf): MintedCertificate {
  const { organization } = leaf;
  return mintCertificate({
    subject: { commonName: leaf.subject, ...(organization === undefined ? {} : { organization }) },
    subjectSpki: leaf.publicKey,
    issuer: APP_CA,
    issuerSpki: leaf.appCaKey.spki,
    issuerKey: leaf.appCaKey.privateKey,
    notBefore: leaf.notBefore ?? EPOCH_1975,
    notAfter: leaf.notAfter ?? afterDays(leaf.now, VALIDITY_DAYS),
    usages: leaf.usages,
    altNames: leaf.altNames,
    wrappedExtensions: [
      ...appExtensions(leaf.appId, 'app:custom'),
      ...optionalExtension(OID_ATTESTATION, leaf.attestation),
      ...optionalExtension(OID_APP_INFO, leaf.appInfo),
    ],
  });
}

/**
 * The CA that dstack guests sign their RA-TLS client certificate with: self-signed, path length 0. Its private key is handed
 * to everyone who asks, so it proves nothing; the attestation in the client certificate does.
 */
export function mintTempCa(key: P256Key, now: Date): MintedCertificate {
  return mintCertificate({
    subject: TEMP_CA,
    subjectSpki: key.spki,
    issuer: TEMP_CA,
    issuerSpki: key.spki,
    issuerKey: key.privateKey,
    notBefore: EPOCH_1975,
    notAfter: afterDays(now, VALIDITY_DAYS),
    ca: { pathLength: 0 },
  });
}

/** The KMS's own TLS certificate under the root CA: CN and DNS name are its domain, usage `kms:rpc`, .8 when attested. */
export function mintKmsRpcLeaf(
  root: RootKeys,
  leaf: {
    readonly publicKey: Uint8Array;
    readonly domain: string;
    readonly now: Date;
    readonly attestation?: Uint8Array;
  },
): MintedCertificate {
  return useRootCaKey(root, (key) =>
    mintCertificate({
      subject: { commonName: leaf.domain },
      subjectSpki: leaf.publicKey,
      issuer: ROOT_CA,
      issuerSpki: key.spki,
      issuerKey: key.privateKey,
      notBefore: EPOCH_1975,
      notAfter: afterDays(leaf.now, VALIDITY_DAYS),
      altNames: [leaf.domain],
      wrappedExtensions: [usageExtension('kms:rpc'), ...optionalExtension(OID_ATTESTATION, leaf.attestation)],
    }),
  );
}

/** What a dstack guest calls itself by: CN `RA-TLS TEMP Cert` under the temp CA, with its attestation. */
export function mintTempClient(
  tempCaKey: P256Key,
  client: { readonly publicKey: Uint8Array; readonly attestation: Uint8Array; readonly now: Date },
): MintedCertificate {
  return mintCertificate({
    subject: { commonName: 'RA-TLS TEMP Cert' },
    subjectSpki: client.publicKey,
    issuer: TEMP_CA,
    issuerSpki: tempCaKey.spki,
    issuerKey: tempCaKey.privateKey,
    notBefore: EPOCH_1975,
    notAfter: afterDays(client.now, VALIDITY_DAYS),
    wrappedExtensions: optionalExtension(OID_ATTESTATION, client.attestation),
  });
}

function useRootCaKey<T>(root: RootKeys, use: (key: P256Key) => T): T {
  return root.useCaScalar((scalar) => {
    const key = p256FromScalar(scalar);
    try {
      return use(key);
    } finally {
      wipeP256(key);
    }
  });
}

function appExtensions(appId: Uint8Array, usage: string): WrappedExtension[] {
  return [{ oid: OID_APP_ID, content: appId }, usageExtension(usage)];
}

function usageExtension(usage: string): WrappedExtension {
  return { oid: OID_SPECIAL_USAGE, content: new TextEncoder().encode(usage) };
}

function optionalExtension(oid: string, content: Uint8Array | undefined): WrappedExtension[] {
  return content === undefined ? [] : [{ oid, content }];
}

function afterDays(now: Date, days: number): Date {
  return new Date(now.getTime() + days * DAY_MS);
}
