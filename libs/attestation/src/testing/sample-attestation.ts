import { fromHex } from '../bytes.js';
import type {
  PlatformEvidence,
  StackEvidence,
  TpmQuote,
  VersionedAttestation,
} from '../encodings/versioned-attestation.js';
import { RUNTIME_EVENT_TYPE, runtimeEventDigest, runtimeEventPreimage } from '../event-log/runtime-event.js';
import type { TdxEvent } from '../event-log/tdx-event.js';

export const latin1 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));

/** Bytes of hex text that is known to be right. */
export const hex = (text: string): Uint8Array => fromHex(text) ?? new Uint8Array();

export function sampleRuntimeEvent(event: string, payload: Uint8Array, version: 1 | 2 = 1): TdxEvent {
  return {
    imr: 3,
    eventType: RUNTIME_EVENT_TYPE,
    digest: runtimeEventDigest(event, payload, version),
    event,
    payload,
    version,
    preimage: version === 1 ? null : runtimeEventPreimage(event, payload, 2),
  };
}

export function sampleBootEvent(imr: 0 | 1 | 2, byte: number, payload: Uint8Array = new Uint8Array([byte])): TdxEvent {
  const digest = new Uint8Array(48).fill(byte);
  return { imr, eventType: 10, digest, event: '', payload, version: 1, preimage: null };
}

const tpmQuote: TpmQuote = {
  message: hex('ff544347'),
  signature: hex('80c8'),
  pcrValues: [
    { index: 0, algorithm: 'sha256', value: new Uint8Array(32).fill(1) },
    { index: 14, algorithm: 'sha256', value: new Uint8Array(32).fill(2) },
  ],
  akCert: hex('3082'),
  platform: 'gcp',
  eventLog: [{ pcrIndex: 2, digest: new Uint8Array(32).fill(3) }],
};

const eventLog: readonly TdxEvent[] = [
  sampleBootEvent(0, 1),
  sampleBootEvent(0, 2, latin1('ACPI DATA')),
  sampleBootEvent(1, 3),
  sampleRuntimeEvent('app-id', hex('11'.repeat(20))),
  sampleRuntimeEvent('system-ready', new Uint8Array()),
];

/** One platform of each kind. */
export const SAMPLE_PLATFORMS: readonly PlatformEvidence[] = [
  { kind: 'tdx', quote: hex('04000200ff'), eventLog },
  { kind: 'gcp-tdx', quote: hex('0400'), eventLog, tpmQuote },
  { kind: 'nitro-enclave', nsmQuote: hex('8444a1') },
  { kind: 'sev-snp', report: new Uint8Array(1184).fill(0x80), certChain: [hex('3082'), hex('')], mrConfig: '{"é":1}' },
  { kind: 'aws-nitro-tpm', attestationDoc: new Uint8Array(70_000).fill(0xfe) },
];

const stack: StackEvidence = {
  reportData: new Uint8Array(64).fill(7),
  runtimeEvents: [
    { event: 'app-id', payload: hex('11'.repeat(20)), version: 1 },
    { event: 'system-ready', payload: new Uint8Array(), version: 1 },
  ],
  config: '{"vm_config":"{}"}',
  reportDataPayload: null,
};

export function sampleAttestation(
  version: 0 | 1,
  platform: PlatformEvidence,
  changes: Partial<StackEvidence> = {},
): VersionedAttestation {
  return { version, platform, stack: { ...stack, ...changes } };
}
