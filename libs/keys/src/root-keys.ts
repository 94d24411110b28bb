import { inspect } from 'node:util';
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { InvalidKeyError, KeysWipedError, SealOpenError } from './errors.js';
import { k256PublicKey } from './k256.js';
import type { KeyProvider } from './key-provider.js';
import { generateP256, p256SpkiOf, wipeP256 } from './p256.js';

const SCALAR_BYTES = 32;

/**
 * Holder of one key epoch's two root secrets: the P-256 root CA key and the secp256k1 root key (dstack-kms §4). It cannot
 * be printed or serialised; the secrets are lent to a callback and never handed out. {@link wipe} overwrites them. The
 * epoch decides how keys are derived: as dstack does in epoch 0, framed and with the epoch inside from 1 on.
 */
export class RootKeys {
  readonly #caScalar: Uint8Array;
  readonly #k256Scalar: Uint8Array;
  #wiped = false;
  /** DER SubjectPublicKeyInfo of the root CA key, 91 bytes. Its hex is the key provider id. */
  readonly caSpki: Uint8Array;
  /** Compressed secp256k1 root public key, 33 bytes. */
  readonly k256PublicKey: Uint8Array;

  private constructor(
    caScalar: Uint8Array,
    k256Scalar: Uint8Array,
    readonly keyEpoch: number,
  ) {
    if (!Number.isInteger(keyEpoch) || keyEpoch < 0 || keyEpoch > 0xffff_ffff) {
      throw new InvalidKeyError(`${keyEpoch} is not a key epoch`);
    }
    this.#caScalar = Uint8Array.from(caScalar);
    this.#k256Scalar = Uint8Array.from(k256Scalar);
    this.caSpki = p256SpkiOf(caScalar);
    this.k256PublicKey = k256PublicKey(k256Scalar);
  }

  /** Fresh random root keys of an epoch. */
  static generate(keyEpoch = 0): RootKeys {
    const ca = generateP256();
    const k256Scalar = secp256k1.utils.randomSecretKey();
    try {
      return new RootKeys(ca.scalar, k256Scalar, keyEpoch);
    } finally {
      wipeP256(ca);
      k256Scalar.fill(0);
    }
  }

  /** From two 32-byte big-endian scalars, which are copied. Throws InvalidKeyError. For vectors and key import. */
  static fromScalars(caScalar: Uint8Array, k256Scalar: Uint8Array, keyEpoch = 0): RootKeys {
    return new RootKeys(caScalar, k256Scalar, keyEpoch);
  }

  /** Opens {@link seal} of the same epoch. Throws SealOpenError. */
  static async open(sealed: Uint8Array, provider: KeyProvider, keyEpoch: number): Promise<RootKeys> {
    const plain = await provider.open(sealed, sealingContext(keyEpoch));
    try {
      if (plain.length !== 2 * SCALAR_BYTES) throw new SealOpenError('the sealed root key file');
      return new RootKeys(plain.subarray(0, SCALAR_BYTES), plain.subarray(SCALAR_BYTES), keyEpoch);
    } finally {
      plain.fill(0);
    }
  }

  /** Seals root CA scalar (32) || root k256 scalar (32), bound to the epoch. */
  async seal(provider: KeyProvider): Promise<Uint8Array> {
    this.#assertLive();
    const secret = Buffer.concat([this.#caScalar, this.#k256Scalar]);
    try {
      return await provider.seal(secret, sealingContext(this.keyEpoch));
    } finally {
      secret.fill(0);
    }
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

/** Bound to sealed roots, so that those of one epoch do not open as another's. Empty in epoch 0. */
function sealingContext(keyEpoch: number): Uint8Array {
  return keyEpoch === 0 ? new Uint8Array() : new TextEncoder().encode(`vouch-root-key-epoch\n${keyEpoch}`);
}
