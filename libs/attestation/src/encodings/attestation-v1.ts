import { checkEvent, MAX_EVENTS } from '../event-log/check-event.js';
import type { RuntimeEvent } from '../event-log/runtime-event.js';
import type { Imr, TdxEvent } from '../event-log/tdx-event.js';
import { Refusal } from '../refusal.js';
import { MessagePackReader } from './messagepack-reader.js';
import type { PlatformEvidence, StackEvidence, TpmQuote, VersionedAttestation } from './versioned-attestation.js';
import { TPM_PLATFORMS } from './versioned-attestation.js';

const U32_MAX = 0xffff_ffff;
const REPORT_DATA_BYTES = 64;
const MAX_CERTIFICATES = 16;
const MAX_PCR_VALUES = 64;

/**
 * Reads version 1: `{version: 1, platform: {kind, data}, stack: {kind, data}}` (dstack-kms §10.3). `kind` must come before
 * `data`, as serde writes it. @throws Refusal `ATTESTATION_FORMAT`, `EVENT_LOG_FORMAT`
 */
export function readAttestationV1(bytes: Uint8Array): VersionedAttestation {
  const reader = new MessagePackReader(bytes, 'ATTESTATION_FORMAT');
  const { version, platform, stack } = reader.record('attestation', {
    version: () => reader.unsigned('version', U32_MAX),
    platform: () => readTagged(reader, 'platform', readPlatform),
    stack: () => readTagged(reader, 'stack', readStack),
  });
  reader.expectEnd('attestation');
  if (version !== 1) throw new Refusal('ATTESTATION_VERSION', `attestation version ${version} is unknown`);
  return { version: 1, platform, stack };
}

/** `{kind, data}`. */
function readTagged<T>(
  reader: MessagePackReader,
  field: string,
  read: (reader: MessagePackReader, kind: string) => T,
): T {
  let kind: string | undefined;
  const { data } = reader.record(field, {
    kind: () => {
      kind = reader.string(`${field}.kind`);
      return kind;
    },
    data: () => {
      if (kind === undefined) throw reader.refuse(`${field}.data comes before its kind`);
      return read(reader, kind);
    },
  });
  return data;
}

function readPlatform(reader: MessagePackReader, kind: string): PlatformEvidence {
  const quote = (): Uint8Array => reader.byteArray('quote');
  const eventLog = (): TdxEvent[] => readTdxEvents(reader);
  switch (kind) {
    case 'tdx': {
      const data = reader.record('tdx', { quote, event_log: eventLog });
      return { kind, quote: data.quote, eventLog: data.event_log };
    }
    case 'gcp-tdx': {
      const tpmQuote = (): TpmQuote => readTpmQuote(reader);
      const data = reader.record('gcp-tdx', { quote, event_log: eventLog, tpm_quote: tpmQuote });
      return { kind, quote: data.quote, eventLog: data.event_log, tpmQuote: data.tpm_quote };
    }
    case 'nitro-enclave':
      return { kind, nsmQuote: reader.record(kind, { nsm_quote: () => reader.byteArray('nsm_quote') }).nsm_quote };
    case 'aws-nitro-tpm': {
      const data = reader.record(kind, { attestation_doc: () => reader.byteArray('attestation_doc') });
      return { kind, attestationDoc: data.attestation_doc };
    }
    case 'sev-snp': {
      const data = reader.record(kind, {
        report: () => reader.byteArray('report'),
        cert_chain: () => reader.list('cert_chain', MAX_CERTIFICATES, () => reader.byteArray('certificate')),
        mr_config: () => reader.string('mr_config'),
      });
      return { kind, report: data.report, certChain: data.cert_chain, mrConfig: data.mr_config };
    }
    default:
      throw reader.refuse(`the platform kind ${JSON.stringify(kind.slice(0, 40))} is unknown`);
  }
}

function readStack(reader: MessagePackReader, kind: string): StackEvidence {
  const members = {
    report_data: () => reader.byteArray('report_data'),
    runtime_events: () => reader.list('runtime_events', MAX_EVENTS, () => readRuntimeEvent(reader)),
    config: () => reader.string('config'),
  };
  if (kind === 'dstack') return stackOf(reader.record('stack', members), null);
  if (kind !== 'dstack-pod') {
    throw reader.refuse(`the stack kind ${JSON.stringify(kind.slice(0, 40))} is unknown`);
  }
  const data = reader.record('stack', { ...members, report_data_payload: () => reader.string('report_data_payload') });
  return stackOf(data, data.report_data_payload);
}

function stackOf(
  data: {
    readonly report_data: Uint8Array;
    readonly runtime_events: readonly RuntimeEvent[];
    readonly config: string;
  },
  reportDataPayload: string | null,
): StackEvidence {
  if (data.report_data.length !== REPORT_DATA_BYTES) {
    throw new Refusal('ATTESTATION_FORMAT', `stack.report_data has ${data.report_data.length} bytes, not 64`);
  }
  return {
    reportData: data.report_data,
    runtimeEvents: data.runtime_events,
    config: data.config,
    reportDataPayload,
  };
}

function readTdxEvents(reader: MessagePackReader): TdxEvent[] {
  let index = 0;
  return reader.list('event_log', MAX_EVENTS, () => {
    const path = `event_log[${index++}]`;
    const entry = reader.record(
      path,
      {
        imr: () => reader.unsigned(`${path}.imr`, 3),
        event_type: () => reader.unsigned(`${path}.event_type`, U32_MAX),
        event: () => reader.string(`${path}.event`),
        event_payload: () => reader.binaryOrArray(`${path}.event_payload`),
      },
      {
        digest: () => reader.binaryOrArray(`${path}.digest`),
        version: () => readVersion(reader, path),
        preimage: () => (reader.nil(`${path}.preimage`) ? null : reader.binaryOrArray(`${path}.preimage`)),
      },
    );
    const event: TdxEvent = {
      imr: entry.imr as Imr,
      eventType: entry.event_type,
      digest: entry.digest ?? new Uint8Array(),
      event: entry.event,
      payload: entry.event_payload,
      version: entry.version ?? 1,
      preimage: entry.preimage ?? null,
    };
    return checkEvent(event, path);
  });
}

function readRuntimeEvent(reader: MessagePackReader): RuntimeEvent {
  const entry = reader.record(
    'runtime event',
    { event: () => reader.string('event'), payload: () => reader.binaryOrArray('payload') },
    { version: () => readVersion(reader, 'runtime event') },
  );
  return { event: entry.event, payload: entry.payload, version: entry.version ?? 1 };
}

function readVersion(reader: MessagePackReader, path: string): 1 | 2 {
  const version = reader.unsigned(`${path}.version`, 2);
  if (version !== 1 && version !== 2) throw reader.refuse(`${path}.version is ${version}, not 1 or 2`);
  return version;
}

function readTpmQuote(reader: MessagePackReader): TpmQuote {
  const data = reader.record('tpm_quote', {
    message: () => reader.binaryOrArray('message'),
    signature: () => reader.binaryOrArray('signature'),
    pcr_values: () =>
      reader.list('pcr_values', MAX_PCR_VALUES, () =>
        reader.record('pcr value', {
          index: () => reader.unsigned('index', U32_MAX),
          algorithm: () => reader.string('algorithm'),
          value: () => reader.binaryOrArray('value'),
        }),
      ),
    ak_cert: () => reader.binaryOrArray('ak_cert'),
    platform: () => reader.string('platform'),
    event_log: () =>
      reader.list('tpm event_log', MAX_EVENTS, () =>
        reader.record('tpm event', {
          pcr_index: () => reader.unsigned('pcr_index', U32_MAX),
          digest: () => reader.binaryOrArray('digest'),
        }),
      ),
  });
  const platform = TPM_PLATFORMS.find((name) => name === data.platform);
  if (platform === undefined) throw reader.refuse('the TPM platform is unknown');
  return {
    message: data.message,
    signature: data.signature,
    pcrValues: data.pcr_values,
    akCert: data.ak_cert,
    platform,
    eventLog: data.event_log.map(({ pcr_index, digest }) => ({ pcrIndex: pcr_index, digest })),
  };
}
