import { createCipheriv, createDecipheriv, randomBytes, scrypt } from 'node:crypto';
import { SealOpenError } from './errors.js';

export type KeyProviderName = 'passphrase' | 'tpm' | 'attested-peer';

/**
 * What keeps root keys sealed at rest. `context` is bound to the sealed bytes and must be the same to open them.
 * `weakening` names what is lost against hardware, as events carry it; null when nothing is.
 */
export interface KeyProvider {
  readonly name: KeyProviderName;
  readonly weakening: 'unsafePassphraseKeyProvider' | null;
  seal(secret: Uint8Array, context: Uint8Array): Promise<Uint8Array>;
  /** The caller wipes what it gets. Throws SealOpenError. */
  open(sealed: Uint8Array, context: Uint8Array): Promise<Uint8Array>;
}

/** A way to seal root keys that this build or machine does not have. An operator must choose another. */
export class KeyProviderUnavailableError extends Error {
  readonly code = 'key-provider-unavailable';
  readonly retryable = false;
  constructor(
    readonly provider: KeyProviderName,
    reason: string,
  ) {
    super(`key provider "${provider}" is not available: ${reason}`);
    this.name = 'KeyProviderUnavailableError';
  }
}

/**
 * Sealed form under a passphrase: offset, length
 *   0   8  magic "VOUCHRK1"
 *   8  16  scrypt salt
 *  24  12  AES-256-GCM nonce
 *  36   n  ciphertext
 * 36+n 16  GCM tag; the 36 bytes in front and then the context are the additional data
 */
const MAGIC = Buffer.from('VOUCHRK1', 'ascii');
const SALT_AT = 8;
const NONCE_AT = 24;
const CIPHERTEXT_AT = 36;
const TAG_BYTES = 16;
const SCRYPT = { N: 1 << 15, r: 8, p: 1, maxmem: 64 * 1024 * 1024 } as const;
const WHAT = 'the sealed root key file';

/**
 * Key provider of development: scrypt (N 2^15, r 8, p 1) and AES-256-GCM. Whoever reads both files has the keys; hence the
 * name. The passphrase is copied and kept as long as the provider, because root keys of later epochs come while it runs.
 */
export class PassphraseKeyProvider implements KeyProvider {
  readonly name = 'passphrase';
  readonly weakening = 'unsafePassphraseKeyProvider';
  readonly #passphrase: Uint8Array;

  constructor(options: { readonly unsafePassphrase: Uint8Array }) {
    this.#passphrase = Uint8Array.from(options.unsafePassphrase);
  }

  async seal(secret: Uint8Array, context: Uint8Array): Promise<Uint8Array> {
    const head = Buffer.concat([MAGIC, randomBytes(NONCE_AT - SALT_AT), randomBytes(CIPHERTEXT_AT - NONCE_AT)]);
    const key = await stretch(this.#passphrase, head.subarray(SALT_AT, NONCE_AT));
    try {
      const cipher = createCipheriv('aes-256-gcm', key, head.subarray(NONCE_AT, CIPHERTEXT_AT));
      cipher.setAAD(Buffer.concat([head, context]));
      return Buffer.concat([head, cipher.update(secret), cipher.final(), cipher.getAuthTag()]);
    } finally {
      key.fill(0);
    }
  }

  async open(sealed: Uint8Array, context: Uint8Array): Promise<Uint8Array> {
    const tagAt = sealed.length - TAG_BYTES;
    if (tagAt < CIPHERTEXT_AT || Buffer.compare(sealed.subarray(0, SALT_AT), MAGIC) !== 0) {
      throw new SealOpenError(WHAT);
    }
    const key = await stretch(this.#passphrase, sealed.subarray(SALT_AT, NONCE_AT));
    const plain = new Uint8Array(tagAt - CIPHERTEXT_AT);
    try {
      const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(NONCE_AT, CIPHERTEXT_AT));
      decipher.setAAD(Buffer.concat([sealed.subarray(0, CIPHERTEXT_AT), context]));
      decipher.setAuthTag(sealed.subarray(tagAt));
      const opened = decipher.update(sealed.subarray(CIPHERTEXT_AT, tagAt));
      plain.set(opened);
      opened.fill(0);
      decipher.final();
      return plain;
    } catch (cause) {
      plain.fill(0);
      throw new SealOpenError(WHAT, { cause });
    } finally {
      key.fill(0);
    }
  }
}

function stretch(passphrase: Uint8Array, salt: Uint8Array): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(passphrase, salt, 32, SCRYPT, (error, key) => (error === null ? resolve(key) : reject(error)));
  });
}
