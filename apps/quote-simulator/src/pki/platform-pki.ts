import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { writeFileAtomically } from '../atomic-file.js';
import { PLATFORM } from '../platform.js';
import { qeReport, rawPublicKey, TD_QE } from '../quote/qe-report.js';
import { issueCertificate, type Signer } from './certificate.js';
import { sgxExtension } from './sgx-extension.js';

/** Everything secret and certified of one simulated platform. Certificates are PEM. */
export interface PlatformPki {
  readonly root: Signer;
  readonly rootPem: string;
  readonly platformCa: Signer;
  readonly platformCaPem: string;
  readonly processorCa: Signer;
  readonly processorCaPem: string;
  readonly tcbSigningKey: KeyObject;
  readonly tcbSigningPem: string;
  readonly pckKey: KeyObject;
  readonly pckPem: string;
  /** Signs quotes; stable, so that a verifier's cache of the QE block works as on real hardware. */
  readonly attestationKey: KeyObject;
  /** By the PCK key over the QE report of the attestation key, r ‖ s, 64 bytes: signed once, as certified hardware is. */
  readonly qeReportSignature: Uint8Array;
  /** Platform provisioning id, 16 bytes; device_id is its SHA-256. */
  readonly ppid: Uint8Array;
  /** 16 bytes. */
  readonly platformInstanceId: Uint8Array;
  /** First 16 bytes of the quote header's user data. */
  readonly qeId: Uint8Array;
}

/** Common names keep the phrases by which DCAP verifiers classify certificates, and say that they are simulated. */
export const PKI_NAMES = {
  root: 'Simulated Intel SGX Root CA',
  platformCa: 'Simulated Intel SGX PCK Platform CA',
  processorCa: 'Simulated Intel SGX PCK Processor CA',
  tcbSigning: 'Simulated Intel SGX TCB Signing',
  pck: 'Simulated Intel SGX PCK Certificate',
} as const;

const keyNames = ['root', 'platformCa', 'processorCa', 'tcbSigning', 'pck', 'attestation'] as const;
const certificateNames = ['root', 'platformCa', 'processorCa', 'tcbSigning', 'pck'] as const;
const hex16 = z.string().regex(/^[0-9a-f]{32}$/);

const storedSchema = z.strictObject({
  version: z.literal(1),
  ppid: hex16,
  platformInstanceId: hex16,
  qeId: hex16,
  qeReportSignature: z.string().regex(/^[0-9a-f]{128}$/),
  /** PKCS#8 PEM. */
  keys: z.record(z.enum(keyNames), z.string()),
  certificates: z.record(z.enum(certificateNames), z.string()),
});
type StoredPki = z.infer<typeof storedSchema>;

/** The stored PKI cannot be used. Never replaced silently: a new root would void every trust anchor handed out. */
export class PkiCorruptError extends Error {
  readonly code = 'pki-corrupt';
  readonly retryable = false;
  constructor(path: string, options?: ErrorOptions) {
    super(`${path} is damaged; restore it, or remove the simulator's data folder to start with a new root`, options);
    this.name = 'PkiCorruptError';
  }
}

const YEAR_MS = 365 * 24 * 3_600_000;
/** Certificates start a little in the past, so that a verifier whose clock is slightly behind accepts them. */
const BACKDATE_MS = 3_600_000;

/**
 * Loads the PKI of `dataDir`, or makes one on first use. All of it is one file (`pki.json`, 0600), so that a crash never
 * leaves half a PKI; `root-ca.pem` beside it is the trust anchor to hand to verifiers.
 * Throws PkiCorruptError, or the file system's error.
 */
export async function loadOrCreatePki(dataDir: string, now: Date): Promise<PlatformPki> {
  const path = join(dataDir, 'pki.json');
  let stored = await readStored(path);
  if (stored === undefined) {
    stored = createPki(now);
    await writeFileAtomically(path, JSON.stringify(stored));
  }
  const pki = open(stored, path);
  await writeFileAtomically(join(dataDir, 'root-ca.pem'), pki.rootPem);
  return pki;
}

async function readStored(path: string): Promise<StoredPki | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    return storedSchema.parse(JSON.parse(text));
  } catch {
    // The cause could quote the file, which holds private keys.
    throw new PkiCorruptError(path);
  }
}

function open(stored: StoredPki, path: string): PlatformPki {
  const key = (name: (typeof keyNames)[number]): KeyObject => {
    try {
      return createPrivateKey(stored.keys[name]);
    } catch {
      throw new PkiCorruptError(path);
    }
  };
  return {
    root: { commonName: PKI_NAMES.root, privateKey: key('root') },
    rootPem: stored.certificates.root,
    platformCa: { commonName: PKI_NAMES.platformCa, privateKey: key('platformCa') },
    platformCaPem: stored.certificates.platformCa,
    processorCa: { commonName: PKI_NAMES.processorCa, privateKey: key('processorCa') },
    processorCaPem: stored.certificates.processorCa,
    tcbSigningKey: key('tcbSigning'),
    tcbSigningPem: stored.certificates.tcbSigning,
    pckKey: key('pck'),
    pckPem: stored.certificates.pck,
    attestationKey: key('attestation'),
    qeReportSignature: Buffer.from(stored.qeReportSignature, 'hex'),
    ppid: Buffer.from(stored.ppid, 'hex'),
    platformInstanceId: Buffer.from(stored.platformInstanceId, 'hex'),
    qeId: Buffer.from(stored.qeId, 'hex'),
  };
}

function createPki(now: Date): StoredPki {
  const key = () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const keys = {
    root: key(),
    platformCa: key(),
    processorCa: key(),
    tcbSigning: key(),
    pck: key(),
    attestation: key(),
  };
  const ppid = randomBytes(16);
  const platformInstanceId = randomBytes(16);
  const root: Signer = { commonName: PKI_NAMES.root, privateKey: keys.root };
  const issue = (
    name: (typeof certificateNames)[number],
    issuer: Signer,
    years: number,
    pathLength: number | null,
    sgx?: ArrayBuffer,
  ) =>
    issueCertificate({
      commonName: PKI_NAMES[name],
      publicKey: createPublicKey(keys[name]),
      issuer,
      notBefore: new Date(now.getTime() - BACKDATE_MS),
      notAfter: new Date(now.getTime() + years * YEAR_MS),
      pathLength,
      ...(sgx === undefined ? {} : { sgxExtension: sgx }),
    });
  const platform = pckExtension({ ppid, platformInstanceId });
  const platformCa: Signer = { commonName: PKI_NAMES.platformCa, privateKey: keys.platformCa };
  return {
    version: 1,
    ppid: ppid.toString('hex'),
    platformInstanceId: platformInstanceId.toString('hex'),
    qeId: randomBytes(16).toString('hex'),
    qeReportSignature: sign('sha256', qeReport(rawPublicKey(keys.attestation), TD_QE), {
      key: keys.pck,
      dsaEncoding: 'ieee-p1363',
    }).toString('hex'),
    keys: {
      root: pem(keys.root),
      platformCa: pem(keys.platformCa),
      processorCa: pem(keys.processorCa),
      tcbSigning: pem(keys.tcbSigning),
      pck: pem(keys.pck),
      attestation: pem(keys.attestation),
    },
    certificates: {
      root: issue('root', root, 30, 1),
      platformCa: issue('platformCa', root, 15, 0),
      processorCa: issue('processorCa', root, 15, 0),
      tcbSigning: issue('tcbSigning', root, 7, null),
      pck: issue('pck', platformCa, 7, null, platform),
    },
  };
}

/** The SGX extension of the platform's PCK certificate, DER. */
export function pckExtension(ids: Pick<PlatformPki, 'ppid' | 'platformInstanceId'>): ArrayBuffer {
  return sgxExtension({
    ...ids,
    sgxComponents: PLATFORM.sgxComponents,
    pceSvn: PLATFORM.pceSvn,
    pceId: Buffer.from(PLATFORM.pceId, 'hex'),
    fmspc: Buffer.from(PLATFORM.fmspc, 'hex'),
  });
}

function pem(key: KeyObject): string {
  return key.export({ format: 'pem', type: 'pkcs8' }) as string;
}
