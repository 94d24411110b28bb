import { createCipheriv, createHmac } from 'node:crypto';
import { x25519Agreement } from './env-key.js';

const VERSION = Buffer.from('HPKE-v1');
/** DHKEM(X25519, HKDF-SHA256). */
const KEM_SUITE = Buffer.concat([Buffer.from('KEM'), Buffer.from('0020', 'hex')]);
/** The same KEM, HKDF-SHA256, AES-256-GCM. */
const HPKE_SUITE = Buffer.concat([Buffer.from('HPKE'), Buffer.from('002000010002', 'hex')]);
const NOTHING = Buffer.alloc(0);
const ZERO_SALT = Buffer.alloc(32);
const MODE_BASE = Uint8Array.of(0);
/** Base mode has no pre-shared key. */
const NO_PSK_ID_HASH = extract(HPKE_SUITE, ZERO_SALT, 'psk_id_hash', NOTHING);

/**
 * HPKE (RFC 9180) base mode, one message, no AAD, with the ephemeral key derived from `seed` (DeriveKeyPair §7.1.3): the
 * sender's half on node:crypto's synchronous primitives, for a key server that seals all day. The package's WebCrypto takes a
 * dozen trips to the thread pool for the same bytes, which a test compares. Throws SealOpenError for a recipient of small
 * order, InvalidKeyError for one that has not 32 bytes.
 */
export function sealOnce(
  recipient: Uint8Array,
  info: Uint8Array,
  plaintext: Uint8Array,
  seed: Uint8Array,
): { readonly enc: Uint8Array; readonly ciphertext: Uint8Array } {
  const secretKey = expand(extract(KEM_SUITE, ZERO_SALT, 'dkp_prk', seed), KEM_SUITE, 'sk', NOTHING, 32);
  const { publicKey: enc, shared: dh } = x25519Agreement(secretKey, recipient);
  const kemContext = Buffer.concat([enc, recipient]);
  const shared = expand(extract(KEM_SUITE, ZERO_SALT, 'eae_prk', dh), KEM_SUITE, 'shared_secret', kemContext, 32);
  const context = Buffer.concat([MODE_BASE, NO_PSK_ID_HASH, extract(HPKE_SUITE, ZERO_SALT, 'info_hash', info)]);
  const secret = extract(HPKE_SUITE, shared, 'secret', NOTHING);
  const key = expand(secret, HPKE_SUITE, 'key', context, 32);
  const nonce = expand(secret, HPKE_SUITE, 'base_nonce', context, 12);
  try {
    const cipher = createCipheriv('aes-256-gcm', key, nonce);
    return { enc, ciphertext: Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]) };
  } finally {
    for (const bytes of [secretKey, dh, shared, secret, key]) bytes.fill(0);
  }
}

/** LabeledExtract (§4). */
function extract(suite: Uint8Array, salt: Uint8Array, label: string, ikm: Uint8Array): Buffer {
  return createHmac('sha256', salt).update(VERSION).update(suite).update(label).update(ikm).digest();
}

/** LabeledExpand (§4) of at most one block: `length` up to 32 bytes. */
function expand(prk: Uint8Array, suite: Uint8Array, label: string, info: Uint8Array, length: number): Buffer {
  const hmac = createHmac('sha256', prk).update(Uint8Array.of(0, length)).update(VERSION).update(suite);
  return hmac.update(label).update(info).update(Uint8Array.of(1)).digest().subarray(0, length);
}
