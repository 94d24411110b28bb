import { RUNTIME_EVENT_TYPE } from '@vouch/attestation';
import type { TdxEventJson } from '../tsm/runtime-event-log.js';
import type { GuestContext } from './guest-context.js';
import { RpcError } from './rpc-error.js';
import type { RpcRequest } from './rpc-request.js';
import { versionedAttestation } from './versioned-attestation.js';

const REPORT_DATA_BYTES = 64;

/**
 * GetQuote (0.5.6+): report data padded on the right, never hashed; the event log is stripped: boot events lose their
 * payload, runtime events their digest (verifiers recompute it).
 */
export async function getQuote(context: GuestContext, request: RpcRequest): Promise<Record<string, string>> {
  const reportData = paddedReportData(request);
  const quote = await context.tsm.quote(reportData);
  return {
    quote: Buffer.from(quote).toString('hex'),
    event_log: JSON.stringify(context.events.tdxEvents(context.bootLog).map(stripped)),
    report_data: Buffer.from(reportData).toString('hex'),
    vm_config: context.shared.sysConfig.vm_config,
  };
}

/** Attest: the VersionedAttestation with the full event log. */
export async function attest(context: GuestContext, request: RpcRequest): Promise<Record<string, string>> {
  const reportData = paddedReportData(request);
  const attestation = versionedAttestation({
    quote: await context.tsm.quote(reportData),
    eventLog: context.events.tdxEvents(context.bootLog),
    runtimeEvents: context.events.events(),
    reportData,
    config: context.shared.sysConfig.vm_config,
  });
  return { attestation: Buffer.from(attestation).toString('hex') };
}

function paddedReportData(request: RpcRequest): Uint8Array {
  const given = request.bytes('report_data');
  if (given.length > REPORT_DATA_BYTES) throw new RpcError('Report data is too long');
  const padded = new Uint8Array(REPORT_DATA_BYTES);
  padded.set(given);
  return padded;
}

function stripped(event: TdxEventJson): TdxEventJson {
  const isRuntime = event.imr === 3 && event.event_type === RUNTIME_EVENT_TYPE;
  return isRuntime ? { ...event, digest: '' } : { ...event, event_payload: '' };
}
