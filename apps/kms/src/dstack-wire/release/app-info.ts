import type { BootInfo } from '@vouch/contracts';

const ARRAY_OF_9 = 0x99;
const NIL = 0xc0;
const BIN_8 = 0xc4;
const BIN_16 = 0xc5;
const EMPTY_ARRAY = 0x90;
const MAX_INIT_SCRIPTS = 5;

/**
 * AppInfo of certificate extension .9 (dstack-kms §10.5): MessagePack array of app_id, compose_hash, instance_id, device_id,
 * mr_system, mr_aggregated, os_image_hash, key_provider_info, init_script_hashes. All from verified evidence, unlike dstack's.
 * `initScriptHashes`: hex of 32 bytes each, at most 5; null for guests that do not measure them.
 */
export function appInfoBytes(info: BootInfo, initScriptHashes: readonly string[] | null): Uint8Array {
  const fields = [
    ...[info.appId, info.composeHash, info.instanceId, info.deviceId, info.mrSystem, info.mrAggregated],
    ...[info.osImageHash, info.keyProviderInfo],
  ];
  return Buffer.concat([Buffer.of(ARRAY_OF_9), ...fields.map(bin), scripts(initScriptHashes)]);
}

function scripts(hashes: readonly string[] | null): Buffer {
  if (hashes === null) return Buffer.of(NIL);
  if (hashes.length > MAX_INIT_SCRIPTS) throw new RangeError(`at most ${MAX_INIT_SCRIPTS} init script hashes`);
  return Buffer.concat([Buffer.of(EMPTY_ARRAY | hashes.length), ...hashes.map(bin)]);
}

function bin(hex: string): Buffer {
  const bytes = Buffer.from(hex, 'hex');
  if (bytes.length > 0xffff) throw new RangeError('a field of AppInfo has at most 65535 bytes');
  const head = bytes.length < 0x100 ? [BIN_8, bytes.length] : [BIN_16, bytes.length >> 8, bytes.length & 0xff];
  return Buffer.concat([Buffer.from(head), bytes]);
}
