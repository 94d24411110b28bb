import { checkEvent, MAX_EVENTS } from '../event-log/check-event.js';
import type { RuntimeEvent } from '../event-log/runtime-event.js';
import type { Imr, TdxEvent } from '../event-log/tdx-event.js';
import { ScaleReader } from './scale-reader.js';
import { ScaleWriter } from './scale-writer.js';
import {
  type PlatformEvidence,
  type StackEvidence,
  TPM_PLATFORMS,
  type TpmQuote,
  type VersionedAttestation,
} from './versioned-attestation.js';

/** SCALE discriminants of AttestationQuote are the indexes (dstack-kms §10.2). */
const KINDS = ['tdx', 'gcp-tdx', 'nitro-enclave', 'sev-snp', 'aws-nitro-tpm'] as const;
const REPORT_DATA_BYTES = 64;
const MAX_CERTIFICATES = 16;

/** Smallest encodings: integers and one length byte per vector. */
const TDX_EVENTS = { minItemBytes: 11, maxItems: MAX_EVENTS } as const;
const RUNTIME_EVENTS = { minItemBytes: 2, maxItems: MAX_EVENTS } as const;
const TPM_EVENTS = { minItemBytes: 5, maxItems: MAX_EVENTS } as const;
const PCR_VALUES = { minItemBytes: 6, maxItems: 64 } as const;
const CERTIFICATES = { minItemBytes: 1, maxItems: MAX_CERTIFICATES } as const;

/** Reads version 0 from the leading 00 to the last byte. @throws Refusal `ATTESTATION_FORMAT`, `EVENT_LOG_FORMAT` */
export function readAttestationV0(bytes: Uint8Array): VersionedAttestation {
  const reader = new ScaleReader(bytes, 'ATTESTATION_FORMAT');
  if (reader.u8('version') !== 0) throw reader.refuse('the attestation is not version 0', 0);
  const platform = readPlatform(reader);
  const runtimeEvents = reader.list('runtime events', RUNTIME_EVENTS, () => readRuntimeEvent(reader));
  const stack: StackEvidence = {
    runtimeEvents,
    reportData: reader.take(REPORT_DATA_BYTES, 'report data'),
    config: reader.string('config'),
    reportDataPayload: null,
  };
  reader.expectEnd('attestation');
  return { version: 0, platform, stack };
}

function readPlatform(reader: ScaleReader): PlatformEvidence {
  const kind = KINDS[reader.u8('platform')];
  switch (kind) {
    case 'tdx':
      return { kind, ...readTdx(reader) };
    case 'gcp-tdx':
      return { kind, ...readTdx(reader), tpmQuote: readTpmQuote(reader) };
    case 'nitro-enclave':
      return { kind, nsmQuote: reader.byteVector('nsm_quote') };
    case 'sev-snp':
      return {
        kind,
        report: reader.byteVector('report'),
        certChain: reader.list('cert_chain', CERTIFICATES, () => reader.byteVector('certificate')),
        mrConfig: reader.string('mr_config'),
      };
    case 'aws-nitro-tpm':
      return { kind, attestationDoc: reader.byteVector('attestation_doc') };
    default:
      throw reader.refuse('the platform is unknown', reader.offset - 1);
  }
}

function readTdx(reader: ScaleReader): { readonly quote: Uint8Array; readonly eventLog: readonly TdxEvent[] } {
  const quote = reader.byteVector('quote');
  let index = 0;
  const eventLog = reader.list('event log', TDX_EVENTS, () => readTdxEvent(reader, `event_log[${index++}]`));
  return { quote, eventLog };
}

function readTdxEvent(reader: ScaleReader, path: string): TdxEvent {
  const imr = reader.u32(`${path}.imr`);
  if (imr > 3) throw reader.refuse(`${path}.imr is ${imr}, not 0 to 3`, reader.offset - 4);
  const event: TdxEvent = {
    imr: imr as Imr,
    eventType: reader.u32(`${path}.event_type`),
    digest: reader.byteVector(`${path}.digest`),
    event: reader.string(`${path}.event`),
    payload: reader.byteVector(`${path}.event_payload`),
    version: 1,
    preimage: null,
  };
  return checkEvent(event, path);
}

function readRuntimeEvent(reader: ScaleReader): RuntimeEvent {
  return { event: reader.string('event'), payload: reader.byteVector('payload'), version: 1 };
}

function readTpmQuote(reader: ScaleReader): TpmQuote {
  const message = reader.byteVector('tpm message');
  const signature = reader.byteVector('tpm signature');
  const pcrValues = reader.list('pcr values', PCR_VALUES, () => ({
    index: reader.u32('pcr index'),
    algorithm: reader.string('pcr algorithm'),
    value: reader.byteVector('pcr value'),
  }));
  const akCert = reader.byteVector('ak certificate');
  const platform = TPM_PLATFORMS[reader.u8('tpm platform')];
  if (platform === undefined) throw reader.refuse('the TPM platform is unknown', reader.offset - 1);
  const eventLog = reader.list('tpm event log', TPM_EVENTS, () => ({
    pcrIndex: reader.u32('pcr index'),
    digest: reader.byteVector('digest'),
  }));
  return { message, signature, pcrValues, akCert, platform, eventLog };
}

/**
 * Writes version 0. @throws RangeError for what SCALE cannot carry: version 2 events, a pod payload, report data that is
 * not 64 bytes.
 */
export function writeAttestationV0({ platform, stack }: Omit<VersionedAttestation, 'version'>): Uint8Array {
  const events = 'eventLog' in platform ? platform.eventLog : [];
  if ([...events, ...stack.runtimeEvents].some(({ version }) => version !== 1)) {
    throw new RangeError('version 0 drops event versions: version 2 events need a version 1 attestation');
  }
  if (stack.reportDataPayload !== null) throw new RangeError('version 0 has no report data payload');
  if (stack.reportData.length !== REPORT_DATA_BYTES) {
    throw new RangeError(`report data has ${REPORT_DATA_BYTES} bytes, not ${stack.reportData.length}`);
  }
  const writer = new ScaleWriter().u8(0).u8(KINDS.indexOf(platform.kind));
  writePlatform(writer, platform);
  return writer
    .list(stack.runtimeEvents, ({ event, payload }) => writer.string(event).byteVector(payload))
    .raw(stack.reportData)
    .string(stack.config)
    .finish();
}

function writePlatform(writer: ScaleWriter, platform: PlatformEvidence): void {
  switch (platform.kind) {
    case 'tdx':
      writeTdx(writer, platform.quote, platform.eventLog);
      break;
    case 'gcp-tdx':
      writeTdx(writer, platform.quote, platform.eventLog);
      writeTpmQuote(writer, platform.tpmQuote);
      break;
    case 'nitro-enclave':
      writer.byteVector(platform.nsmQuote);
      break;
    case 'sev-snp':
      writer.byteVector(platform.report);
      writer.list(platform.certChain, (certificate) => writer.byteVector(certificate)).string(platform.mrConfig);
      break;
    case 'aws-nitro-tpm':
      writer.byteVector(platform.attestationDoc);
  }
}

function writeTdx(writer: ScaleWriter, quote: Uint8Array, events: readonly TdxEvent[]): void {
  writer.byteVector(quote).list(events, (event) => {
    writer.u32(event.imr).u32(event.eventType).byteVector(event.digest).string(event.event).byteVector(event.payload);
  });
}

function writeTpmQuote(writer: ScaleWriter, quote: TpmQuote): void {
  writer
    .byteVector(quote.message)
    .byteVector(quote.signature)
    .list(quote.pcrValues, ({ index, algorithm, value }) => writer.u32(index).string(algorithm).byteVector(value))
    .byteVector(quote.akCert)
    .u8(TPM_PLATFORMS.indexOf(quote.platform))
    .list(quote.eventLog, ({ pcrIndex, digest }) => writer.u32(pcrIndex).byteVector(digest));
}
