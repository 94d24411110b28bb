import { createCipheriv, createDecipheriv, randomBytes, scrypt } from 'node:crypto';
import { inspect } from 'node:util';
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { KeysWipedError, SealOpenError } from './errors.js';
import { k256PublicKey } from './k256.js';
import { generateP256, p256SpkiOf, wipeP256 } from './p256.js';

/**
 * Sealed form (development key provider): offset, length
 *   0   8  magic "VOUCHRK1"
 *   8  16  scrypt salt
 *  24  12  AES-256-GCM nonce
 *  36  64  ciphertext: root CA scalar (32) || root k256 scalar (32)
 * 100  16  GCM tag; the 36 bytes in front are the additional data
 */
const MAGIC = Buffer.from('VOUCHRK1', 'ascii');
const SALT_AT = 8;
const NONCE_AT = 24;
const CIPHERTEXT_AT = 36;
const TAG_AT = 100;
const SEALED_BYTES = 116;
const SCRYPT = { N: 1 << 15, r: 8, p: 1, maxmem: 64 * 1024 * 1024 } as const;

/** A passphrase instead of hardware sealing: development only, hence the name. */
export interface PassphraseSealing {
  readonly unsafePassphrase: Uint8Array;
}

/**
 * Holder of one key epoch's two root secrets: the P-256 root CA key and the secp256k1 root key (dstack-kms §4). It cannot
 * be printed or serialised; the secrets are lent to a callback and never handed out. {@link wipe} overwrites them.
 */
export class RootKeys {
  readonly #caScalar: Uint8Array;
  readonly #k256Scalar: Uint8Array;
  #wiped = false;
  /** DER SubjectPublicKeyInfo of the root CA key, 91 bytes. Its hex is the key provider id. */
  readonly caSpki: Uint8Array;
  /** Compressed secp256k1 root public key, 33 bytes. */
  readonly k256PublicKey: Uint8Array;

  private constructor(caScalar: Uint8Array, k256Scalar: Uint8Array) {
    this.#caScalar = Uint8Array.from(caScalar);
    this.#k256Scalar = Uint8Array.from(k256Scalar);
    this.caSpki = p256SpkiOf(caScalar);
    this.k256PublicKey = k256PublicKey(k256Scalar);
  }

  /** Fresh random root keys. */
  static generate(): RootKeys {
    const ca = generateP256();
    const k256Scalar = secp256k1.utils.randomSecretKey();
    try {
      return new RootKeys(ca.scalar, k256Scalar);
    } finally {
      wipeP256(ca);
      k256Scalar.fill(0);
    }
  }

  /** From two 32-byte big-endian scalars, which are copied. Throws InvalidKeyError. For vectors and key import. */
  static fromScalars(caScalar: Uint8Array, k256Scalar: Uint8Array): RootKeys {
    return new RootKeys(caScalar, k256Scalar);
  }

  /** Opens {@link toSealed}. Throws SealOpenError. */
  static async fromSealed(sealed: Uint8Array, sealing: PassphraseSealing): Promise<RootKeys> {
    if (sealed.length !== SEALED_BYTES || Buffer.compare(sealed.subarray(0, SALT_AT), MAGIC) !== 0) {
      throw new SealOpenError('the sealed root key file');
    }
    const key = await stretch(sealing.unsafePassphrase, sealed.subarray(SALT_AT, NONCE_AT));
    const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(NONCE_AT, CIPHERTEXT_AT));
    decipher.setAAD(sealed.subarray(0, CIPHERTEXT_AT));
    decipher.setAuthTag(sealed.subarray(TAG_AT));
    const plain = Buffer.alloc(TAG_AT - CIPHERTEXT_AT);
    try {
      decipher.update(sealed.subarray(CIPHERTEXT_AT, TAG_AT)).copy(plain);
      decipher.final();
      return new RootKeys(plain.subarray(0, 32), plain.subarray(32));
    } catch (cause) {
      throw new SealOpenError('the sealed root key file', { cause });
    } finally {
      plain.fill(0);
      key.fill(0);
    }
  }

  /** Seals both secrets under a passphrase: scrypt (N 2^15, r 8, p 1), AES-256-GCM; 116 bytes. */
  async toSealed(sealing: PassphraseSealing): Promise<Uint8Array> {
    this.#assertLive();
    const head = Buffer.concat([MAGIC, randomBytes(NONCE_AT - SALT_AT), randomBytes(CIPHERTEXT_AT - NONCE_AT)]);
    const key = await stretch(sealing.unsafePassphrase, head.subarray(SALT_AT, NONCE_AT));
    this.#assertLive();
    const cipher = createCipheriv('aes-256-gcm', key, head.subarray(NONCE_AT, CIPHERTEXT_AT));
    cipher.setAAD(head);
    const body = [cipher.update(this.#caScalar), cipher.update(this.#k256Scalar), cipher.final()];
    key.fill(0);
    return Buffer.concat([head, ...body, cipher.getAuthTag()]);
  }

  /** Lends the 32-byte root CA scalar to `use`. The bytes are only valid during the call. Throws KeysWipedError. */
  useCaScalar<T>(use: (scalar: Uint8Array) => T): T {
    this.#assertLive();
    return use(this.#caScalar);
  }

  /** Lends the 32-byte root secp256k1 scalar to `use`. The bytes are only valid during the call. Throws KeysWipedError. */
  useK256Scalar<T>(use: (scalar: Uint8Array) => T): T {
    this.#assertLive();
    return use(this.#k256Scalar);
  }

  /** Overwrites the secrets. Every later use throws KeysWipedError. */
  wipe(): void {
    this.#caScalar.fill(0);
    this.#k256Scalar.fill(0);
    this.#wiped = true;
  }

  [Symbol.dispose](): void {
    this.wipe();
  }

  toString(): string {
    return 'RootKeys(secret)';
  }

  toJSON(): never {
    throw new TypeError('root keys cannot be serialised');
  }

  [inspect.custom](): string {
    return this.toString();
  }

  #assertLive(): void {
    if (this.#wiped) throw new KeysWipedError();
  }
}

function stretch(passphrase: Uint8Array, salt: Uint8Array): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(passphrase, salt, 32, SCRYPT, (error, key) => (error === null ? resolve(key) : reject(error)));
  });
}
