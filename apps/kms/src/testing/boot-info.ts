import type { BootInfo } from '@vouch/contracts';
import { APP_ID, COMPOSE_HASH, INSTANCE_ID, OS_IMAGE } from './guest.js';

/** What a policy is asked about the guest of guest.ts. */
export const BOOT_INFO: BootInfo = {
  teeVariant: 'dstack-tdx',
  appId: APP_ID,
  composeHash: COMPOSE_HASH,
  instanceId: INSTANCE_ID,
  deviceId: 'de'.repeat(32),
  mrAggregated: 'a1'.repeat(32),
  mrSystem: 'a2'.repeat(32),
  osImageHash: OS_IMAGE,
  keyProviderInfo: '',
  tcbStatus: 'UpToDate',
  advisoryIds: [],
};

/** The text of a policy file that allows it. */
export function policyFileText(appId = APP_ID, composeHash = COMPOSE_HASH, osImage = OS_IMAGE): string {
  const apps = { [appId]: { composeHashes: [composeHash], devices: [], allowAnyDevice: true } };
  return JSON.stringify({ gatewayAppId: 'any', osImages: [osImage], apps });
}
