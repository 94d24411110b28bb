import { type KeyObject, sign } from 'node:crypto';
import { parseQuote } from '../abi/parse-quote.js';
import { readEventLog } from '../event-log/parse-event-log.js';
import { isRuntimeEvent } from '../event-log/replay.js';
import { Refusal } from '../refusal.js';
import { importP256, pointOfSpki, verifyDer } from '../x509/p256.js';
import { type Decoded, decode } from './decoded.js';
import { readVersioned } from './read-attestation.js';
import { ScaleReader } from './scale-reader.js';
import { ScaleWriter } from './scale-writer.js';
import { MAX_ATTESTATION_BYTES, type VersionedAttestation } from './versioned-attestation.js';
import { writeAttestation } from './write-attestation.js';

/** What the first field must say. */
export const CSR_CONFIRMATION = 'please sign cert:';

/** What the certificate shall say (dstack-kms §9). */
export interface CsrConfig {
  readonly orgName?: string;
  readonly subject: string;
  readonly subjectAltNames: readonly string[];
  readonly usageServerAuth: boolean;
  readonly usageClientAuth: boolean;
  readonly extQuote: boolean;
}

export interface CsrV1 {
  readonly version: 1;
  /** DER SubjectPublicKeyInfo; its key signs the request. */
  readonly publicKey: Uint8Array;
  readonly config: CsrConfig;
  /** Raw TDX quote. */
  readonly quote: Uint8Array;
  /** JSON text. */
  readonly eventLog: string;
}

export interface CsrV2 {
  readonly version: 2;
  /** DER SubjectPublicKeyInfo; its key signs the request. */
  readonly publicKey: Uint8Array;
  readonly config: CsrConfig & {
    readonly extAppInfo: boolean;
    /** Seconds since 1970. */
    readonly notBefore?: number;
    /** Seconds since 1970. */
    readonly notAfter?: number;
  };
  readonly attestation: VersionedAttestation;
}

export type CertificateSigningRequest = CsrV1 | CsrV2;

const MAX_CSR_BYTES = MAX_ATTESTATION_BYTES + 64 * 1024;
const ALT_NAMES = { minItemBytes: 1, maxItems: 256 } as const;

/**
 * Reads a request; the version comes from outside (`api_version`). The signature is not looked at: see `verifyCsr`. Check
 * `csr.format`; codes `CSR_FORMAT` and those of `readAttestation`.
 */
export function readCsr(bytes: Uint8Array, version: 1 | 2): Decoded<CertificateSigningRequest> {
  return decode(
    'csr.format',
    () => read(bytes, version),
    ({ config }) => `version ${version} for ${JSON.stringify(config.subject)}`,
  );
}

/**
 * Reads a request and checks that the key in it signed every byte of it (ECDSA P-256, SHA-256, DER). Check `csr.signature`;
 * codes as `readCsr`, `KEY_INVALID`, `DER_FORMAT`, `CSR_SIGNATURE`.
 */
export function verifyCsr(
  bytes: Uint8Array,
  version: 1 | 2,
  signature: Uint8Array,
): Decoded<CertificateSigningRequest> {
  return decode(
    'csr.signature',
    () => {
      const request = read(bytes, version);
      const key = importP256(pointOfSpki(request.publicKey), 'the requested key');
      if (!verifyDer(key, bytes, signature)) {
        throw new Refusal('CSR_SIGNATURE', 'the request is not signed by the key it asks to certify');
      }
      return request;
    },
    ({ config }) => `version ${version} for ${JSON.stringify(config.subject)}, signed by its key`,
  );
}

/** SCALE bytes of a request: what is signed. */
export function writeCsr(request: CertificateSigningRequest): Uint8Array {
  const { config } = request;
  const writer = new ScaleWriter().string(CSR_CONFIRMATION).byteVector(request.publicKey);
  writer
    .option(config.orgName, (name) => writer.string(name))
    .string(config.subject)
    .list(config.subjectAltNames, (name) => writer.string(name))
    .boolean(config.usageServerAuth)
    .boolean(config.usageClientAuth)
    .boolean(config.extQuote);
  if (request.version === 1) return writer.byteVector(request.quote).string(request.eventLog).finish();
  const { extAppInfo, notBefore, notAfter } = request.config;
  return writer
    .boolean(extAppInfo)
    .option(notBefore, (seconds) => writer.u64(BigInt(seconds)))
    .option(notAfter, (seconds) => writer.u64(BigInt(seconds)))
    .raw(writeAttestation(request.attestation))
    .finish();
}

/** DER signature over the exact bytes of a request. */
export function signCsr(bytes: Uint8Array, privateKey: KeyObject): Uint8Array {
  return new Uint8Array(sign('sha256', bytes, privateKey));
}

/**
 * A version 1 request as version 2, as dstack does it: TDX evidence from quote and event log, no app info, no window.
 * Check `csr.upgrade`; codes of `parseQuote`, `EVENT_LOG_FORMAT`, `CSR_FORMAT`.
 */
export function upgradeCsr(request: CertificateSigningRequest): Decoded<CsrV2> {
  return decode(
    'csr.upgrade',
    () => upgrade(request),
    () => `from version ${request.version}`,
  );
}

function read(bytes: Uint8Array, version: 1 | 2): CertificateSigningRequest {
  if (bytes.length > MAX_CSR_BYTES) throw new Refusal('CSR_FORMAT', `a request has at most ${MAX_CSR_BYTES} bytes`, 0);
  const reader = new ScaleReader(bytes, 'CSR_FORMAT');
  if (reader.string('confirm') !== CSR_CONFIRMATION) {
    throw reader.refuse(`the confirmation is not ${JSON.stringify(CSR_CONFIRMATION)}`, 0);
  }
  const publicKey = reader.byteVector('pubkey');
  const config = readConfig(reader);
  if (version === 1) {
    const quote = reader.byteVector('quote');
    const eventLog = reader.string('event_log');
    reader.expectEnd('request');
    return { version, publicKey, config, quote, eventLog };
  }
  const extAppInfo = reader.boolean('ext_app_info');
  const notBefore = reader.option('not_before', () => readSeconds(reader, 'not_before'));
  const notAfter = reader.option('not_after', () => readSeconds(reader, 'not_after'));
  const attestation = readVersioned(bytes.subarray(reader.offset));
  return {
    version,
    publicKey,
    config: {
      ...config,
      extAppInfo,
      ...(notBefore === undefined ? {} : { notBefore }),
      ...(notAfter === undefined ? {} : { notAfter }),
    },
    attestation,
  };
}

function readConfig(reader: ScaleReader): CsrConfig {
  const orgName = reader.option('org_name', () => reader.string('org_name'));
  return {
    ...(orgName === undefined ? {} : { orgName }),
    subject: reader.string('subject'),
    subjectAltNames: reader.list('subject_alt_names', ALT_NAMES, () => reader.string('subject_alt_name')),
    usageServerAuth: reader.boolean('usage_server_auth'),
    usageClientAuth: reader.boolean('usage_client_auth'),
    extQuote: reader.boolean('ext_quote'),
  };
}

function readSeconds(reader: ScaleReader, field: string): number {
  const seconds = reader.u64(field);
  if (seconds > BigInt(Number.MAX_SAFE_INTEGER)) throw reader.refuse(`${field} is out of range`, reader.offset - 8);
  return Number(seconds);
}

function upgrade(request: CertificateSigningRequest): CsrV2 {
  if (request.version === 2) return request;
  const parsed = parseQuote(request.quote);
  if (!parsed.ok) throw new Refusal(parsed.code, parsed.failed.detail, parsed.offset);
  const { report } = parsed.quote;
  if (report.kind === 'sgx') throw new Refusal('CSR_FORMAT', 'the quote in the request is not a TDX quote');
  const eventLog = readEventLog(request.eventLog);
  const runtimeEvents = eventLog
    .filter(isRuntimeEvent)
    .map(({ event, payload, version }) => ({ event, payload, version }));
  // SCALE has no event versions, so a log with version 2 events is kept in the encoding that has.
  const version = eventLog.some((event) => event.version === 2) ? 1 : 0;
  return {
    version: 2,
    publicKey: request.publicKey,
    config: { ...request.config, extAppInfo: false },
    attestation: {
      version,
      platform: { kind: 'tdx', quote: request.quote, eventLog },
      stack: { reportData: report.reportData, runtimeEvents, config: '', reportDataPayload: null },
    },
  };
}
