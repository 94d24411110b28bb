import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { x25519PublicKey, x25519SharedSecret } from './env-key.js';
import { PayloadFormError, SealOpenError } from './errors.js';

/** Encrypted env blob (dstack-guest §7.6): offset of the nonce, the ciphertext, and the shortest blob, in bytes. */
const NONCE_AT = 32;
const CIPHERTEXT_AT = 44;
const TAG_BYTES = 16;
const MAX_VARIABLES = 1024;
const MAX_VALUE_BYTES = 128 * 1024;
const MAX_TOTAL_BYTES = 1024 * 1024;
const NAME = /^[A-Za-z_][A-Za-z0-9_]{0,254}$/;

export interface EnvVariable {
  readonly key: string;
  readonly value: string;
}

/** Seals variables to an app's env public key. The nonce and the ephemeral key are random. */
export function sealEnv(envPublicKey: Uint8Array, variables: readonly EnvVariable[]): Uint8Array {
  const secret = randomBytes(32);
  const nonce = randomBytes(CIPHERTEXT_AT - NONCE_AT);
  const cipher = createCipheriv('aes-256-gcm', x25519SharedSecret(secret, envPublicKey), nonce);
  const text = JSON.stringify({ env: variables.map(({ key, value }) => ({ key, value })) });
  const body = [cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()];
  return Buffer.concat([x25519PublicKey(secret), nonce, ...body]);
}

/**
 * Opens an encrypted env blob with the app's X25519 secret. Throws SealOpenError, or PayloadFormError for a plaintext
 * that is not a list of variables within the limits (1024 variables, 128 KiB each, 1 MiB in all). Which names an app may
 * receive (`allowed_envs`, {@link isEnvName}) is the caller's to decide.
 */
export function openEnv(envCryptKey: Uint8Array, blob: Uint8Array): EnvVariable[] {
  const plain = openEnvBlob(envCryptKey, blob);
  try {
    return readVariables(new TextDecoder().decode(plain));
  } finally {
    plain.fill(0);
  }
}

/** The blob's raw plaintext (secret). Throws SealOpenError. */
export function openEnvBlob(envCryptKey: Uint8Array, blob: Uint8Array): Uint8Array {
  if (blob.length < CIPHERTEXT_AT + TAG_BYTES) throw new SealOpenError('the encrypted environment');
  const key = x25519SharedSecret(envCryptKey, blob.subarray(0, NONCE_AT));
  const decipher = createDecipheriv('aes-256-gcm', key, blob.subarray(NONCE_AT, CIPHERTEXT_AT));
  decipher.setAuthTag(blob.subarray(blob.length - TAG_BYTES));
  try {
    return Buffer.concat([decipher.update(blob.subarray(CIPHERTEXT_AT, blob.length - TAG_BYTES)), decipher.final()]);
  } catch (cause) {
    throw new SealOpenError('the encrypted environment', { cause });
  }
}

/** True for a name a process environment can carry. */
export function isEnvName(name: string): boolean {
  return NAME.test(name);
}

function readVariables(text: string): EnvVariable[] {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    // The parser's own message would quote the plaintext.
    throw new PayloadFormError('the environment is not JSON');
  }
  const list = typeof json === 'object' && json !== null ? (json as Record<string, unknown>).env : undefined;
  if (!Array.isArray(list)) throw new PayloadFormError('the environment has no "env" list');
  if (list.length > MAX_VARIABLES) throw new PayloadFormError(`more than ${MAX_VARIABLES} environment variables`);
  let total = 0;
  return list.map((entry: unknown, index) => {
    const { key, value } = (entry ?? {}) as Record<string, unknown>;
    if (typeof key !== 'string' || typeof value !== 'string') {
      throw new PayloadFormError(`environment variable ${index} needs a text "key" and a text "value"`);
    }
    const size = Buffer.byteLength(value);
    total += size + Buffer.byteLength(key);
    if (size > MAX_VALUE_BYTES || total > MAX_TOTAL_BYTES) {
      throw new PayloadFormError(`environment variable ${index} exceeds the size limit`);
    }
    return { key, value };
  });
}
