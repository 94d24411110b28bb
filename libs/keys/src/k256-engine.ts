import { createRequire } from 'node:module';
import { secp256k1 } from '@noble/curves/secp256k1.js';

/** The two costly secp256k1 operations of a key server. Both engines give the same bytes. */
export interface K256Engine {
  readonly name: 'pure' | 'native';
  /** Compressed public key (33 bytes) of a valid scalar. */
  publicKey(scalar: Uint8Array): Uint8Array;
  /** RFC 6979 (HMAC-SHA-256), low S, over a 32-byte digest: r || s (64 bytes) || recovery id. */
  signRecoverable(digest: Uint8Array, scalar: Uint8Array): Uint8Array;
}

/** What is used of the addon (npm `secp256k1`, bindings of libsecp256k1). */
interface Bindings {
  publicKeyCreate(scalar: Uint8Array, compressed: boolean): Uint8Array;
  ecdsaSign(digest: Uint8Array, scalar: Uint8Array): { readonly signature: Uint8Array; readonly recid: number };
}

export const pureK256: K256Engine = {
  name: 'pure',
  publicKey: (scalar) => secp256k1.getPublicKey(scalar, true),
  signRecoverable: (digest, scalar) => {
    const recovered = secp256k1.sign(digest, scalar, { prehash: false, lowS: true, format: 'recovered' });
    return Buffer.concat([recovered.subarray(1), recovered.subarray(0, 1)]);
  },
};

/** libsecp256k1 when its prebuilt addon fits this machine; undefined otherwise. Never the package's JavaScript fallback. */
export function loadNativeK256(): K256Engine | undefined {
  try {
    const bindings = createRequire(import.meta.url)('secp256k1/bindings') as Bindings;
    return {
      name: 'native',
      publicKey: (scalar) => bindings.publicKeyCreate(scalar, true),
      signRecoverable: (digest, scalar) => {
        const { signature, recid } = bindings.ecdsaSign(digest, scalar);
        return Buffer.concat([signature, Uint8Array.of(recid)]);
      },
    };
  } catch {
    return undefined;
  }
}
