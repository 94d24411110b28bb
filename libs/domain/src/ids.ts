import { createHash } from 'node:crypto';

declare const brand: unique symbol;
type Brand<T, Name extends string> = T & { readonly [brand]: Name };

/** 20 bytes, 40 lower-case hex digits: the DstackApp contract address. */
export type AppId = Brand<string, 'AppId'>;
/** 20 bytes, 40 lower-case hex digits: SHA-256(seed || app id)[0..20] (dstack-kms, derived identities). */
export type InstanceId = Brand<string, 'InstanceId'>;
/** 16 bytes, 32 lower-case hex digits. */
export type ReleaseId = Brand<string, 'ReleaseId'>;
/** 16 bytes, 32 lower-case hex digits. */
export type OperationId = Brand<string, 'OperationId'>;
/** 1-32 characters of a-z, 0-9 and "-", starting with a letter: safe as one NATS subject token. */
export type HostId = Brand<string, 'HostId'>;
/** SHA-256 of the raw app-compose bytes, 64 lower-case hex digits. */
export type ComposeHash = Brand<string, 'ComposeHash'>;

/** An identifier that does not have the form its type requires. */
export class InvalidIdError extends Error {
  readonly code = 'invalid-id';
  constructor(
    readonly field: string,
    value: string,
    expected: string,
  ) {
    super(`${field}: ${JSON.stringify(value.slice(0, 80))} is not valid; expected ${expected}`);
    this.name = 'InvalidIdError';
  }
}

export const HEX20 = /^[0-9a-f]{40}$/;
export const HEX16 = /^[0-9a-f]{32}$/;
export const HEX32 = /^[0-9a-f]{64}$/;
export const HOST_ID = /^[a-z][a-z0-9-]{0,31}$/;

function parser<T extends string>(field: string, form: RegExp, expected: string): (value: string) => T {
  return (value) => {
    if (!form.test(value)) throw new InvalidIdError(field, value, expected);
    return value as T;
  };
}

export const appId = parser<AppId>('appId', HEX20, '40 lower-case hex digits (20 bytes)');
export const instanceId = parser<InstanceId>('instanceId', HEX20, '40 lower-case hex digits (20 bytes)');
export const releaseId = parser<ReleaseId>('releaseId', HEX16, '32 lower-case hex digits (16 bytes)');
export const operationId = parser<OperationId>('operationId', HEX16, '32 lower-case hex digits (16 bytes)');
export const composeHash = parser<ComposeHash>('composeHash', HEX32, '64 lower-case hex digits (SHA-256)');
export const hostId = parser<HostId>('hostId', HOST_ID, '1-32 of a-z, 0-9 and "-", starting with a letter');

/** compose_hash: SHA-256 over the exact app-compose bytes, never over re-serialised JSON (dstack-kms §12). */
export function composeHashOf(rawAppCompose: Uint8Array): ComposeHash {
  return createHash('sha256').update(rawAppCompose).digest('hex') as ComposeHash;
}

/** instance_id = SHA-256(seed(20) || app_id(20))[0..20] (dstack-kms §12, no platform binding). */
export function instanceIdOf(seedHex: string, app: AppId): InstanceId {
  if (!HEX20.test(seedHex)) throw new InvalidIdError('seed', seedHex, '40 lower-case hex digits (20 bytes)');
  const digest = createHash('sha256').update(Buffer.from(seedHex, 'hex')).update(Buffer.from(app, 'hex')).digest('hex');
  return digest.slice(0, 40) as InstanceId;
}
