import { equalBytes, isZero, toHex } from '../bytes.js';
import { type Decoded, decode } from '../encodings/decoded.js';
import { type JsonReader, readJson } from '../json-reader.js';
import { Refusal } from '../refusal.js';
import { KEY_PROVIDER_KINDS, type KeyProviderKind, mrConfigIdV3 } from './mr-config-id.js';

/** The document a version 3 mr_config_id (or SEV-SNP's HOST_DATA) binds. Byte fields by their usual sizes. */
export interface MrConfigV3 {
  /** 20 bytes. */
  readonly appId?: Uint8Array;
  /** 32 bytes. */
  readonly composeHash: Uint8Array;
  readonly gpuPolicyHash?: Uint8Array;
  readonly initScriptHashes?: readonly Uint8Array[];
  /** 20 bytes, or empty. */
  readonly instanceId?: Uint8Array;
  readonly keyProvider: KeyProviderKind;
  readonly keyProviderId?: Uint8Array;
}

const CODE = 'MR_CONFIG_FORMAT';
const MAX_DOCUMENT_CHARS = 64 * 1024;
const MAX_INIT_SCRIPTS = 5;
const MEMBERS: ReadonlySet<string> = new Set([
  'app_id',
  'compose_hash',
  'gpu_policy_hash',
  'init_script_hashes',
  'instance_id',
  'key_provider',
  'key_provider_id',
  'version',
]);

/**
 * Reads the document; unknown members are refused, as dstack refuses them. Whether it is the measured one is a matter of its
 * exact text: `mrConfigIdV3`, never of what is read here. Check `mr-config.format`; code `MR_CONFIG_FORMAT`.
 */
export function readMrConfigV3(document: string): Decoded<MrConfigV3> {
  return decode(
    'mr-config.format',
    () => read(document),
    ({ composeHash, keyProvider }) => `compose ${toHex(composeHash)}, key provider ${keyProvider}`,
  );
}

/** Canonical text (RFC 8785): members sorted, absent ones left out, hex in lower case. */
export function writeMrConfigV3(config: MrConfigV3): string {
  const hex = (bytes: Uint8Array | undefined): string | undefined => (bytes === undefined ? undefined : toHex(bytes));
  return JSON.stringify({
    app_id: hex(config.appId),
    compose_hash: toHex(config.composeHash),
    gpu_policy_hash: hex(config.gpuPolicyHash),
    init_script_hashes: config.initScriptHashes?.map(toHex),
    instance_id: hex(config.instanceId),
    key_provider: config.keyProvider,
    key_provider_id: hex(config.keyProviderId),
    version: 3,
  });
}

/** What SEV-SNP's HOST_DATA must be for a document: the hash inside its mr_config_id, 32 bytes. */
export function snpHostData(document: string): Uint8Array {
  return mrConfigIdV3(Buffer.from(document, 'utf8')).slice(1, 33);
}

/** `unset`: 48 zero bytes, which pin nothing. */
export type MrConfigVersion = 'unset' | 1 | 2 | 3;

/**
 * Which version an mr_config_id is of (48 bytes). Anything else, a tail that is not zero included, is refused with
 * `MR_CONFIG_FORMAT`. Check `mr-config.id`.
 */
export function mrConfigVersion(mrConfigId: Uint8Array): Decoded<MrConfigVersion> {
  return decode(
    'mr-config.id',
    () => versionOf(mrConfigId),
    (version) => (version === 'unset' ? 'all zero: nothing is pinned' : `version ${version}`),
  );
}

/** True when HOST_DATA or the hash in a version 3 mr_config_id is that of exactly this document text. */
export function bindsMrConfigV3(mrConfigIdOrHostData: Uint8Array, document: string): boolean {
  const id = mrConfigIdV3(Buffer.from(document, 'utf8'));
  return equalBytes(mrConfigIdOrHostData, mrConfigIdOrHostData.length === 32 ? id.subarray(1, 33) : id);
}

function read(document: string): MrConfigV3 {
  if (document.length > MAX_DOCUMENT_CHARS) {
    throw new Refusal(CODE, `the document is longer than ${MAX_DOCUMENT_CHARS} characters`);
  }
  const json = readJson(document, 'mr_config', CODE);
  const unknown = json.members().find((name) => !MEMBERS.has(name));
  if (unknown !== undefined) throw new Refusal(CODE, `mr_config has the unknown member ${JSON.stringify(unknown)}`);
  if (countKeys(document) !== json.members().length) throw new Refusal(CODE, 'mr_config has a member twice');
  present(json, 'version')?.integer(3, 3);
  const kind = json.member('key_provider').string();
  if (!isKeyProvider(kind)) throw new Refusal(CODE, `mr_config.key_provider is ${JSON.stringify(kind)}`);
  const scripts = present(json, 'init_script_hashes')?.array(MAX_INIT_SCRIPTS);
  return {
    composeHash: json.member('compose_hash').hex(32),
    keyProvider: kind,
    ...optionalHex(json, 'app_id', 'appId'),
    ...optionalHex(json, 'gpu_policy_hash', 'gpuPolicyHash'),
    ...optionalHex(json, 'instance_id', 'instanceId'),
    ...optionalHex(json, 'key_provider_id', 'keyProviderId'),
    ...(scripts === undefined ? {} : { initScriptHashes: scripts.map((script) => script.hex(32)) }),
  };
}

/** Keys in valid JSON text without nested objects: strings that a colon follows. JSON.parse would keep the last of two. */
function countKeys(text: string): number {
  let keys = 0;
  for (const [, colon] of text.matchAll(/"(?:[^"\\]|\\.)*"(\s*:)?/g)) if (colon !== undefined) keys += 1;
  return keys;
}

/** A member that is there and not null. */
function present(json: JsonReader, name: string): JsonReader | undefined {
  const member = json.optional(name);
  return member === undefined || member.isNull ? undefined : member;
}

function optionalHex<K extends string>(json: JsonReader, member: string, name: K): { readonly [P in K]?: Uint8Array } {
  const found = present(json, member);
  // A computed key widens to string; the one member is of the name given.
  return (found === undefined ? {} : { [name]: found.hex() }) as { readonly [P in K]?: Uint8Array };
}

function isKeyProvider(text: string): text is KeyProviderKind {
  return Object.hasOwn(KEY_PROVIDER_KINDS, text);
}

function versionOf(id: Uint8Array): MrConfigVersion {
  if (id.length !== 48) throw new Refusal(CODE, `an mr_config_id has 48 bytes, not ${id.length}`);
  if (isZero(id)) return 'unset';
  const version = id[0];
  if ((version !== 1 && version !== 2 && version !== 3) || !isZero(id.subarray(33))) {
    throw new Refusal(CODE, `${toHex(id)} is no mr_config_id of version 1, 2 or 3`);
  }
  return version;
}
