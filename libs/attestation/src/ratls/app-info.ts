import { toHex } from '../bytes.js';
import { type Decoded, decode } from '../encodings/decoded.js';
import { MessagePackReader } from '../encodings/messagepack-reader.js';
import { MessagePackWriter } from '../encodings/messagepack-writer.js';

/**
 * Content of extension .9 (dstack-kms §10.5). The KMS writes it from the request's evidence without verifying it, so it
 * proves nothing: its device id and OS image hash in particular are what the requester said.
 */
export interface AppInfo {
  readonly appId: Uint8Array;
  readonly composeHash: Uint8Array;
  readonly instanceId: Uint8Array;
  readonly deviceId: Uint8Array;
  readonly mrSystem: Uint8Array;
  readonly mrAggregated: Uint8Array;
  readonly osImageHash: Uint8Array;
  /** JSON text as it was measured. */
  readonly keyProviderInfo: Uint8Array;
  /** Null where the writer knew none (older guests). */
  readonly initScriptHashes: readonly Uint8Array[] | null;
}

const FIELDS = 9;
const MAX_INIT_SCRIPTS = 5;
const HASH_BYTES = 32;

/** Reads the MessagePack array. Check `app-info.format`; code `APP_INFO_FORMAT`. */
export function readAppInfo(bytes: Uint8Array): Decoded<AppInfo> {
  return decode(
    'app-info.format',
    () => readArray(bytes),
    ({ appId }) => `app ${toHex(appId)}`,
  );
}

function readArray(bytes: Uint8Array): AppInfo {
  const reader = new MessagePackReader(bytes, 'APP_INFO_FORMAT');
  reader.tuple('app info', FIELDS);
  const info: AppInfo = {
    appId: reader.binary('app_id'),
    composeHash: reader.binary('compose_hash'),
    instanceId: reader.binary('instance_id'),
    deviceId: reader.binary('device_id'),
    mrSystem: reader.binary('mr_system'),
    mrAggregated: reader.binary('mr_aggregated'),
    osImageHash: reader.binary('os_image_hash'),
    keyProviderInfo: reader.binary('key_provider_info'),
    initScriptHashes: reader.nil('init_script_hashes') ? null : readScripts(reader),
  };
  reader.expectEnd('app info');
  return info;
}

export function writeAppInfo(info: AppInfo): Uint8Array {
  const writer = new MessagePackWriter()
    .array(FIELDS)
    .binary(info.appId)
    .binary(info.composeHash)
    .binary(info.instanceId)
    .binary(info.deviceId)
    .binary(info.mrSystem)
    .binary(info.mrAggregated)
    .binary(info.osImageHash)
    .binary(info.keyProviderInfo);
  if (info.initScriptHashes === null) return writer.nil().finish();
  writer.array(info.initScriptHashes.length);
  for (const hash of info.initScriptHashes) writer.binary(hash);
  return writer.finish();
}

function readScripts(reader: MessagePackReader): readonly Uint8Array[] {
  return reader.list('init_script_hashes', MAX_INIT_SCRIPTS, () => {
    const hash = reader.binary('init script hash');
    if (hash.length !== HASH_BYTES) throw reader.refuse(`an init script hash has ${hash.length} bytes`);
    return hash;
  });
}
