import { fromHex } from '../bytes.js';
import { type Decoded, decode } from '../encodings/decoded.js';
import { readVersioned } from '../encodings/read-attestation.js';
import { type JsonReader, readJson } from '../json-reader.js';
import { Refusal } from '../refusal.js';
import { decodePemCertificates } from '../x509/pem.js';
import type { AttestationEvidence } from './attestation-evidence.js';
import { readCertificateEvidence } from './certificate-evidence.js';

/** Largest evidence that is read, in bytes: an attestation of 10 MiB as hex in JSON. */
export const MAX_EVIDENCE_BYTES = 21 * 1024 * 1024;
/** Wrappers around evidence in our own documents are followed this deep. */
const MAX_DEPTH = 3;
const CODE = 'EVIDENCE_FORMAT';
const DER_SEQUENCE = 0x30;

/**
 * Reads evidence in any form people have it in, as check `evidence.format`: a raw quote; a VersionedAttestation; a
 * certificate with RA-TLS extensions (PEM or DER); any of these as hex or base64; JSON with `attestation` (hex), or with
 * `quote` (hex or base64), `event_log` or `eventLog`, `vm_config` or `vmConfig`, by itself or as member `evidence`.
 * Nothing is verified. Codes: `EVIDENCE_FORMAT` and those of the decoders.
 */
export function readEvidence(bytes: Uint8Array): Decoded<AttestationEvidence> {
  return decode(
    'evidence.format',
    () => {
      if (bytes.length > MAX_EVIDENCE_BYTES) {
        throw new Refusal(CODE, `evidence has at most ${MAX_EVIDENCE_BYTES} bytes, not ${bytes.length}`);
      }
      return readAny(bytes);
    },
    ({ form }) => form,
  );
}

/** The same for the parsed body of a dstack-verifier request or an evidence document. */
export function readJsonEvidence(text: string): Decoded<AttestationEvidence> {
  return decode(
    'evidence.format',
    () => readDocument(readJson(text, 'evidence', CODE), 0),
    ({ form }) => form,
  );
}

function readAny(bytes: Uint8Array): AttestationEvidence {
  const text = asText(bytes);
  if (text === null) return readBinary(bytes);
  if (text.startsWith('{')) return readDocument(readJson(text, 'evidence', CODE), 0);
  if (text.startsWith('-----BEGIN CERTIFICATE-----')) {
    const [leaf] = decodePemCertificates(text, 'the evidence');
    return readCertificate(leaf ?? new Uint8Array());
  }
  return readBinary(encodedBytes(text, 'the evidence'));
}

/** Text of printable ASCII without the white space around it, or null when the bytes are something else. */
function asText(bytes: Uint8Array): string | null {
  const printable = bytes.every(
    (byte) => (byte >= 0x20 && byte < 0x7f) || byte === 0x0a || byte === 0x0d || byte === 9,
  );
  const text = Buffer.from(bytes).toString('utf8').trim();
  return printable || text.startsWith('{') ? text : null;
}

function readBinary(bytes: Uint8Array): AttestationEvidence {
  const first = bytes[0];
  if (first === undefined) throw new Refusal(CODE, 'the evidence is empty');
  if (first === DER_SEQUENCE) return readCertificate(bytes);
  // Quotes start with their version, 3 to 5; an attestation with 0 or a MessagePack map.
  if (first === 0 || first >= 0x80) return readAttestationEvidence(bytes);
  return { ...NOTHING, form: 'quote', quote: bytes };
}

const NOTHING = { eventLog: null, attestation: null, vmConfig: null, certificateKey: null } as const;

function readCertificate(der: Uint8Array): AttestationEvidence {
  const carried = readCertificateEvidence(der);
  if (carried === null) throw new Refusal('EVIDENCE_MISSING', 'the certificate has no RA-TLS extension with evidence');
  const certificateKey = carried.publicKey;
  const form = 'RA-TLS certificate';
  if ('attestation' in carried) return { ...readAttestationEvidence(carried.attestation), form, certificateKey };
  return { ...NOTHING, form, quote: carried.quote, eventLog: carried.eventLog, certificateKey };
}

function readAttestationEvidence(bytes: Uint8Array): AttestationEvidence {
  const attestation = readVersioned(bytes);
  const { platform, stack } = attestation;
  if (platform.kind !== 'tdx' && platform.kind !== 'gcp-tdx') {
    throw new Refusal('EVIDENCE_UNSUPPORTED', `${platform.kind} evidence cannot be verified yet`);
  }
  return {
    form: `${platform.kind} attestation`,
    quote: platform.quote,
    eventLog: null,
    attestation,
    vmConfig: unwrapConfig(stack.config),
    certificateKey: null,
  };
}

function readDocument(root: JsonReader, depth: number): AttestationEvidence {
  const inner = present(root, 'evidence');
  if (inner !== undefined && depth < MAX_DEPTH) return readDocument(inner, depth + 1);
  const attestation = present(root, 'attestation');
  if (attestation !== undefined) return readAttestationEvidence(encodedBytes(attestation.string(), attestation.path));
  const quote = present(root, 'quote');
  if (quote === undefined) throw root.refuse('has neither a quote nor an attestation');
  const log = present(root, 'event_log') ?? present(root, 'eventLog');
  const config = present(root, 'vm_config') ?? present(root, 'vmConfig');
  const eventLog = log === undefined ? null : log.text();
  return {
    ...NOTHING,
    form: eventLog === null ? 'quote' : 'quote and event log',
    quote: encodedBytes(quote.string(), quote.path),
    eventLog,
    vmConfig: config === undefined ? null : unwrapConfig(config.text()),
  };
}

/** A member that is there and says something: clients send null or empty text for what they leave out. */
function present(root: JsonReader, name: string): JsonReader | undefined {
  const field = root.optional(name);
  return field === undefined || field.isNull || field.isEmptyText ? undefined : field;
}

/** Hex first: dstack writes hex, and only text that is no hex of whole bytes is taken as base64. */
function encodedBytes(text: string, what: string): Uint8Array {
  const compact = text.replace(/\s+/g, '').replace(/^0x/, '');
  const hex = fromHex(compact);
  if (hex !== undefined && hex.length > 0) return hex;
  const base64 = Buffer.from(compact, 'base64');
  const unpadded = (value: string): string => value.replace(/=+$/, '');
  const isBase64 = compact !== '' && unpadded(base64.toString('base64')) === unpadded(compact);
  const isBase64Url = compact !== '' && base64.toString('base64url') === unpadded(compact);
  if (!isBase64 && !isBase64Url) throw new Refusal(CODE, `${what} is neither hex nor base64`);
  return new Uint8Array(base64);
}

/** The configuration may be a vm_config, or a whole sys-config with the vm_config as text inside. */
function unwrapConfig(text: string): string | null {
  if (text === '') return null;
  try {
    const json = JSON.parse(text) as { vm_config?: unknown } | null;
    if (typeof json?.vm_config === 'string') return json.vm_config;
  } catch {
    // Not JSON: the check that needs it will say so.
  }
  return text;
}
