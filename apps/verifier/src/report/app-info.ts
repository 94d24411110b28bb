import { deriveMeasurements, deviceId, type ExaminationFacts, TEE_VARIANTS } from '@vouch/attestation';

/** dstack's AppInfo, JSON form: byte fields as hex. */
interface AppInfo {
  readonly app_id: string;
  readonly compose_hash: string;
  readonly instance_id: string;
  readonly device_id: string;
  readonly mr_system: string;
  readonly mr_aggregated: string;
  readonly os_image_hash: string;
  readonly key_provider_info: string;
  readonly init_script_hashes: readonly string[];
}

/** What dstack's authorisation API takes: byte fields as hex without 0x. */
interface BootInfo {
  readonly teeVariant: string;
  readonly mrAggregated: string;
  readonly osImageHash: string;
  readonly mrSystem: string;
  readonly appId: string;
  readonly composeHash: string;
  readonly instanceId: string;
  readonly deviceId: string;
  readonly keyProviderInfo: string;
  readonly tcbStatus: string;
  readonly advisoryIds: readonly string[];
}

/** Both, from what was proven; null when the evidence is of no TD, or does not prove an identity. */
export function appAndBootInfo(facts: ExaminationFacts): { readonly app: AppInfo; readonly boot: BootInfo } | null {
  const { verified, identity, osImage } = facts;
  const report = verified?.quote.report;
  if (verified === null || identity === null || report === undefined || report.kind === 'sgx') return null;
  const measured = deriveMeasurements(report, identity.keyProviderInfo);
  const app: AppInfo = {
    app_id: identity.appId,
    compose_hash: identity.composeHash,
    instance_id: identity.instanceId,
    device_id: hex(deviceId(verified.pck.ppid)),
    mr_system: hex(measured.mrSystem),
    mr_aggregated: hex(measured.mrAggregated),
    os_image_hash: osImage?.osImageHash ?? '',
    key_provider_info: hex(identity.keyProviderInfo ?? new Uint8Array()),
    init_script_hashes: identity.initScriptHashes,
  };
  const boot: BootInfo = {
    teeVariant: teeVariant(facts) ?? '',
    mrAggregated: app.mr_aggregated,
    osImageHash: app.os_image_hash,
    mrSystem: app.mr_system,
    appId: app.app_id,
    composeHash: app.compose_hash,
    instanceId: app.instance_id,
    deviceId: app.device_id,
    keyProviderInfo: app.key_provider_info,
    tcbStatus: verified.tcb.status,
    advisoryIds: verified.tcb.advisoryIds,
  };
  return { app, boot };
}

/** dstack's name of the platform; null for what it has no name for. */
export function teeVariant({ evidence, quote }: ExaminationFacts): string | null {
  if (evidence.attestation !== null) return TEE_VARIANTS[evidence.attestation.platform.kind];
  return quote?.header.tee === 'TDX' ? TEE_VARIANTS.tdx : null;
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
