import type { RuntimeEvent } from '../event-log/runtime-event.js';
import type { TdxEvent } from '../event-log/tdx-event.js';
import { MessagePackWriter } from './messagepack-writer.js';
import type { PlatformEvidence, StackEvidence, TpmQuote, VersionedAttestation } from './versioned-attestation.js';

/**
 * Writes version 1 as rmp-serde's named form: plain byte vectors as arrays of integers, serde-human-bytes as bin, `version`
 * and `preimage` of events only where they say something (dstack-kms §10.3).
 * @throws RangeError for report data that is not 64 bytes.
 */
export function writeAttestationV1({ platform, stack }: Omit<VersionedAttestation, 'version'>): Uint8Array {
  if (stack.reportData.length !== 64) throw new RangeError(`report data has 64 bytes, not ${stack.reportData.length}`);
  const writer = new MessagePackWriter().map(3).string('version').unsigned(1).string('platform');
  tagged(writer, platform.kind);
  writePlatform(writer, platform);
  writer.string('stack');
  tagged(writer, stack.reportDataPayload === null ? 'dstack' : 'dstack-pod');
  writeStack(writer, stack);
  return writer.finish();
}

function tagged(writer: MessagePackWriter, kind: string): void {
  writer.map(2).string('kind').string(kind).string('data');
}

function writePlatform(writer: MessagePackWriter, platform: PlatformEvidence): void {
  switch (platform.kind) {
    case 'tdx':
      writer.map(2);
      writeTdx(writer, platform.quote, platform.eventLog);
      break;
    case 'gcp-tdx':
      writer.map(3);
      writeTdx(writer, platform.quote, platform.eventLog);
      writeTpmQuote(writer.string('tpm_quote'), platform.tpmQuote);
      break;
    case 'nitro-enclave':
      writer.map(1).string('nsm_quote').byteArray(platform.nsmQuote);
      break;
    case 'aws-nitro-tpm':
      writer.map(1).string('attestation_doc').byteArray(platform.attestationDoc);
      break;
    case 'sev-snp':
      writer.map(3).string('report').byteArray(platform.report).string('cert_chain').array(platform.certChain.length);
      for (const certificate of platform.certChain) writer.byteArray(certificate);
      writer.string('mr_config').string(platform.mrConfig);
  }
}

function writeTdx(writer: MessagePackWriter, quote: Uint8Array, events: readonly TdxEvent[]): void {
  writer.string('quote').byteArray(quote).string('event_log').array(events.length);
  for (const event of events) {
    const extra = (event.version === 1 ? 0 : 1) + (event.preimage === null ? 0 : 1);
    writer
      .map(5 + extra)
      .string('imr')
      .unsigned(event.imr)
      .string('event_type')
      .unsigned(event.eventType);
    writer.string('digest').binary(event.digest).string('event').string(event.event);
    writer.string('event_payload').binary(event.payload);
    if (event.version !== 1) writer.string('version').unsigned(event.version);
    if (event.preimage !== null) writer.string('preimage').binary(event.preimage);
  }
}

function writeTpmQuote(writer: MessagePackWriter, quote: TpmQuote): void {
  writer.map(6).string('message').binary(quote.message).string('signature').binary(quote.signature);
  writer.string('pcr_values').array(quote.pcrValues.length);
  for (const { index, algorithm, value } of quote.pcrValues) {
    writer.map(3).string('index').unsigned(index).string('algorithm').string(algorithm).string('value').binary(value);
  }
  writer.string('ak_cert').binary(quote.akCert).string('platform').string(quote.platform);
  writer.string('event_log').array(quote.eventLog.length);
  for (const { pcrIndex, digest } of quote.eventLog) {
    writer.map(2).string('pcr_index').unsigned(pcrIndex).string('digest').binary(digest);
  }
}

function writeStack(writer: MessagePackWriter, stack: StackEvidence): void {
  writer
    .map(stack.reportDataPayload === null ? 3 : 4)
    .string('report_data')
    .byteArray(stack.reportData);
  writer.string('runtime_events').array(stack.runtimeEvents.length);
  for (const event of stack.runtimeEvents) writeRuntimeEvent(writer, event);
  writer.string('config').string(stack.config);
  if (stack.reportDataPayload !== null) writer.string('report_data_payload').string(stack.reportDataPayload);
}

function writeRuntimeEvent(writer: MessagePackWriter, { event, payload, version }: RuntimeEvent): void {
  writer
    .map(version === 1 ? 2 : 3)
    .string('event')
    .string(event)
    .string('payload')
    .binary(payload);
  if (version !== 1) writer.string('version').unsigned(version);
}
