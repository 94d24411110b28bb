import { isRuntimeEvent, parseEventLog, parseQuote, readEvidence, type VersionedAttestation } from '@vouch/attestation';
import type { EventData } from '@vouch/domain';

/** Evidence as it came over the wire, taken apart but not verified. */
export interface PresentedEvidence {
  readonly form: EventData<'dstack.release-refused'>['evidence']['form'];
  /** Exactly what came: DER certificate, or SCALE certificate signing request. */
  readonly bytes: Uint8Array;
  readonly attestation: VersionedAttestation;
  /** DER SubjectPublicKeyInfo that the report data must bind. */
  readonly boundKey: Uint8Array;
}

export type Presentation =
  | { readonly kind: 'none' }
  | { readonly kind: 'malformed'; readonly reason: string }
  | { readonly kind: 'evidence'; readonly evidence: PresentedEvidence };

const P256_SPKI_BYTES = 91;
/** More than this cannot be kept in the log with its event, and what cannot be kept is not judged. */
export const MAX_PRESENTED_BYTES = 96 * 1024;

/**
 * The evidence in a TLS client certificate (dstack-kms §8): extension .8, or .1 and .2 as older guests have it. A certificate
 * without any is no evidence; its signature is not looked at here.
 */
export function presentedByCertificate(der: Uint8Array): Presentation {
  if (der.length > MAX_PRESENTED_BYTES) return malformed(`the certificate is larger than ${MAX_PRESENTED_BYTES} bytes`);
  const read = readEvidence(der);
  if (!read.ok) return read.code === 'EVIDENCE_MISSING' ? { kind: 'none' } : malformed(read.failed.detail);
  const { attestation, certificateKey, quote, eventLog } = read.value;
  if (certificateKey?.length !== P256_SPKI_BYTES) return malformed("the certificate's key is not a P-256 key");
  const whole = attestation ?? legacyAttestation(quote, eventLog ?? '[]');
  if (typeof whole === 'string') return malformed(whole);
  const evidence = { form: 'client-certificate', bytes: der, attestation: whole, boundKey: certificateKey } as const;
  return { kind: 'evidence', evidence };
}

/** Quote and event log as one attestation; a text when they cannot be one. */
function legacyAttestation(quote: Uint8Array, eventLogText: string): VersionedAttestation | string {
  const parsed = parseQuote(quote);
  if (!parsed.ok) return parsed.failed.detail;
  const log = parseEventLog(eventLogText);
  if (!log.ok) return log.failed.detail;
  const { reportData } = parsed.quote.report;
  const runtimeEvents = log.events
    .filter(isRuntimeEvent)
    .map(({ event, payload, version }) => ({ event, payload, version }));
  return {
    version: 1,
    platform: { kind: 'tdx', quote, eventLog: log.events },
    stack: { reportData, runtimeEvents, config: '', reportDataPayload: null },
  };
}

function malformed(reason: string): Presentation {
  return { kind: 'malformed', reason };
}
