import {
  extendRtmr,
  grantReportData,
  mrConfigIdV1,
  mrConfigIdV2,
  parseQuote,
  RTMR_BYTES,
  type TdReport,
} from '@vouch/attestation';
import { type Claims, canonicalJson, type Evidence } from '@vouch/domain';
import { AgentFailure } from '../agent-failure.js';
import type { SharedFolder } from '../shared-folder/shared-folder.js';
import type { RuntimeEventLog } from '../tsm/runtime-event-log.js';
import type { BootEventJson, TsmClient } from '../tsm/tsm-client.js';
import type { GuestKeys } from './guest-keys.js';

/** Evidence and the claims its quote binds. */
export interface BoundEvidence {
  readonly evidence: Evidence;
  readonly claims: Claims;
}

/** Who the guest is, from its shared folder and its own keys. */
export interface GuestIdentity {
  readonly shared: SharedFolder;
  readonly keys: GuestKeys;
}

/** What the guest claims about itself for one challenge (32 bytes, hex). */
function claimsOf({ shared, keys }: GuestIdentity, challenge: string): Claims {
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
  return {
    version: 1,
    challenge,
    hostId: shared.sysConfig.vouch.hostId,
    appId: shared.instance.appId,
    instanceId: shared.instance.instanceId,
    epoch: shared.sysConfig.vouch.epoch,
    hpkeKey: hex(keys.hpke.publicKey),
    wireguardKey: hex(keys.wireguard.publicKey),
    tlsKey: hex(keys.identity.spki),
  };
}

/**
 * Quotes the claims and checks that the quote says what this guest knows of itself, so that a broken platform is named
 * here and not by a denial. Throws AgentFailure.
 */
export async function gatherEvidence(
  identity: GuestIdentity,
  challenge: string,
  platform: { readonly tsm: TsmClient; readonly events: RuntimeEventLog; readonly bootLog: readonly BootEventJson[] },
): Promise<BoundEvidence> {
  const claims = claimsOf(identity, challenge);
  const reportData = grantReportData(canonicalJson(claims));
  const quote = await platform.tsm.quote(reportData);
  const report = readTdReport(quote);
  if (Buffer.compare(report.reportData, reportData) !== 0) {
    throw new AgentFailure('quote-invalid', 'the quote carries other report data than was asked for', true);
  }
  assertRegisters(report, platform.bootLog, platform.events.rtmr3());
  assertMrConfigId(report.mrConfigId, identity.shared);
  return {
    claims,
    evidence: {
      quote: Buffer.from(quote).toString('base64'),
      eventLog: JSON.stringify(platform.events.tdxEvents(platform.bootLog)),
      vmConfig: identity.shared.sysConfig.vm_config,
    },
  };
}

/** The TD report inside a quote. Throws AgentFailure `quote-invalid`. */
export function readTdReport(quote: Uint8Array): TdReport {
  const parsed = parseQuote(quote);
  if (!parsed.ok) throw new AgentFailure('quote-invalid', `the quote cannot be parsed: ${parsed.failed.detail}`);
  const { report } = parsed.quote;
  if (report.kind === 'sgx') throw new AgentFailure('quote-invalid', 'the quote is of an SGX enclave, not of a TD');
  return report;
}

function assertRegisters(report: TdReport, bootLog: readonly BootEventJson[], rtmr3: Uint8Array): void {
  const quoted = [report.rtMr0, report.rtMr1, report.rtMr2, report.rtMr3];
  for (const [imr, register] of quoted.entries()) {
    const expected = imr === 3 ? rtmr3 : replayBoot(bootLog, imr);
    if (Buffer.compare(register, expected) !== 0) {
      throw new AgentFailure('measurement-mismatch', `the event log does not replay to RTMR${imr} of the quote`, true);
    }
  }
}

function replayBoot(bootLog: readonly BootEventJson[], imr: number): Uint8Array {
  return bootLog
    .filter((event) => event.imr === imr)
    .reduce<Uint8Array>(
      (register, event) => extendRtmr(register, Buffer.from(event.digest, 'hex')),
      new Uint8Array(RTMR_BYTES),
    );
}

/** mr_config_id, when the host set one, must name this compose (dstack-kms §12); all zero means "not pinned". */
function assertMrConfigId(mrConfigId: Uint8Array, { composeHash, instance, appCompose }: SharedFolder): void {
  if (mrConfigId.every((byte) => byte === 0)) return;
  const compose = Buffer.from(composeHash, 'hex');
  const app = Buffer.from(instance.appId, 'hex');
  const provider = Buffer.from(appCompose.key_provider_id, 'hex');
  const accepted = [mrConfigIdV1(compose), mrConfigIdV2(compose, app, 'kms', provider)];
  if (accepted.some((id) => Buffer.compare(id, mrConfigId) === 0)) return;
  throw new AgentFailure('mr-config-mismatch', 'the mr_config_id of the TD does not name this app-compose.json');
}
