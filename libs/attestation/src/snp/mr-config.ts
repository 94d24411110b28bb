import { toHex } from '../bytes.js';
import type { Check, Refused } from '../check.js';
import { CheckSheet } from '../check-sheet.js';
import { bindsMrConfigV3, type MrConfigV3, readMrConfigV3 } from '../measurements/mr-config-v3.js';
import { Refusal } from '../refusal.js';
import type { AppraisedSnpEvidence } from './appraise-report.js';

export type BindSnpMrConfigResult =
  | { readonly ok: true; readonly config: MrConfigV3; readonly checks: readonly Check[] }
  | Refused;

/** Names of the checks `bindSnpMrConfig` reports, in order. */
export const SNP_MR_CONFIG_CHECKS = ['mr-config.binding', 'mr-config.format', 'mr-config.ids'] as const;

/** Size of an app or instance id, in bytes. */
const ID_BYTES = 20;

/**
 * The identity of a dstack guest: its MrConfig document (version 3), whose exact text HOST_DATA of the accepted report
 * hashes; it is never parsed and printed again first. On SEV-SNP the document is the only source of app id, compose hash,
 * instance id and key provider (dstack-kms §12). Codes `MR_CONFIG_MISMATCH`, `MR_CONFIG_FORMAT`.
 */
export function bindSnpMrConfig({ verified }: AppraisedSnpEvidence, document: string): BindSnpMrConfigResult {
  const sheet = new CheckSheet(SNP_MR_CONFIG_CHECKS);
  const { hostData } = verified.report;
  const result = sheet.settle((): MrConfigV3 => {
    sheet.step(
      'mr-config.binding',
      () => {
        if (!bindsMrConfigV3(hostData, document)) {
          throw new Refusal('MR_CONFIG_MISMATCH', `host data ${toHex(hostData)} is not the hash of the document`);
        }
      },
      () => 'host data is the hash of the document',
    );
    const config = sheet.step(
      'mr-config.format',
      () => {
        const read = readMrConfigV3(document);
        if (!read.ok) throw new Refusal(read.code, read.failed.detail);
        return read.value;
      },
      ({ composeHash, keyProvider }) => `compose ${toHex(composeHash)}, key provider ${keyProvider}`,
    );
    sheet.step(
      'mr-config.ids',
      () => requireIds(config),
      () => 'ids are absent or of their size',
    );
    return config;
  });
  return result.ok ? { ok: true, config: result.value, checks: result.checks } : result;
}

/** The app id may be left out, the instance id also empty. */
function requireIds({ appId, instanceId }: MrConfigV3): void {
  if (appId !== undefined && appId.length !== ID_BYTES) {
    throw new Refusal('MR_CONFIG_FORMAT', `the app id has ${appId.length} bytes, not ${ID_BYTES}`);
  }
  if (instanceId !== undefined && instanceId.length !== 0 && instanceId.length !== ID_BYTES) {
    throw new Refusal('MR_CONFIG_FORMAT', `the instance id has ${instanceId.length} bytes, not ${ID_BYTES} or none`);
  }
}
