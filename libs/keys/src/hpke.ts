import { createHash, type webcrypto } from 'node:crypto';
import { Aes256Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from '@hpke/core';
import { InvalidKeyError, SealOpenError } from './errors.js';
import { sealOnce } from './hpke-seal.js';

const KEY_BYTES = 32;

/** HPKE base mode (RFC 9180): DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM; one message per context, no AAD. */
const suite = new CipherSuite({
  kem: new DhkemX25519HkdfSha256(),
  kdf: new HkdfSha256(),
  aead: new Aes256Gcm(),
});

/** A sealed grant payload: the encapsulated key (32 bytes) and the ciphertext with its 16-byte tag. */
export interface SealedPayload {
  readonly enc: Uint8Array;
  readonly ciphertext: Uint8Array;
}

export interface HpkeKeyPair {
  /** X25519, 32 bytes. */
  readonly publicKey: Uint8Array;
  /** X25519, 32 bytes, secret. */
  readonly privateKey: Uint8Array;
}

/** A fresh X25519 key pair for one grant. */
export async function generateHpkeKeyPair(): Promise<HpkeKeyPair> {
  const pair = await suite.kem.generateKeyPair();
  return {
    publicKey: new Uint8Array(await suite.kem.serializePublicKey(pair.publicKey)),
    privateKey: new Uint8Array(await suite.kem.serializePrivateKey(pair.privateKey)),
  };
}

/** Seals a grant payload to the guest's attested key; `info` binds it to the request id. Throws InvalidKeyError. */
export async function sealPayload(
  recipient: Uint8Array,
  requestId: string,
  plaintext: Uint8Array,
): Promise<SealedPayload> {
  return await sealWithPackage(recipient, requestId, plaintext);
}

/**
 * {@link sealPayload} with the ephemeral key taken from 32 secret bytes (DeriveKeyPair of RFC 9180) instead of chance, so
 * that the same input gives the same bytes again. `seed` must be a secret function of recipient, request id AND
 * plaintext: two plaintexts under one seed would share an AES-GCM key and nonce. Throws InvalidKeyError.
 */
export function sealPayloadRepeatably(
  recipient: Uint8Array,
  requestId: string,
  plaintext: Uint8Array,
  seed: Uint8Array,
): SealedPayload {
  if (seed.length !== KEY_BYTES) throw new InvalidKeyError('a sealing seed has 32 bytes');
  if (recipient.length !== KEY_BYTES) throw new InvalidKeyError('an X25519 key has 32 bytes');
  try {
    return sealOnce(recipient, new Uint8Array(infoOf(requestId)), plaintext, seed);
  } catch (cause) {
    throw new InvalidKeyError('the recipient key cannot be sealed to', { cause });
  }
}

/** {@link sealPayload} with the package's own ephemeral key from `ekm` (DeriveKeyPair): what sealPayloadRepeatably must equal. */
export async function sealWithPackage(
  recipient: Uint8Array,
  requestId: string,
  plaintext: Uint8Array,
  ekm?: Uint8Array,
): Promise<SealedPayload> {
  const recipientPublicKey = await importKey(recipient, true);
  try {
    const ephemeral = ekm === undefined ? {} : { ekm: exact(ekm) };
    const context = { recipientPublicKey, info: infoOf(requestId), ...ephemeral };
    const { enc, ct } = await suite.seal(context, exact(plaintext));
    return { enc: new Uint8Array(enc), ciphertext: new Uint8Array(ct) };
  } catch (cause) {
    throw new InvalidKeyError('the recipient key cannot be sealed to', { cause });
  }
}

/** Opens a sealed grant payload with the guest's private key. Throws SealOpenError. */
export async function openPayload(
  privateKey: Uint8Array,
  requestId: string,
  sealed: SealedPayload,
): Promise<Uint8Array> {
  const recipientKey = await importKey(privateKey, false);
  try {
    const plain = await suite.open(
      { recipientKey, enc: exact(sealed.enc), info: infoOf(requestId) },
      exact(sealed.ciphertext),
    );
    return new Uint8Array(plain);
  } catch (cause) {
    throw new SealOpenError('the sealed grant payload', { cause });
  }
}

/** payloadHash of grant.issued: SHA-256(enc || ciphertext), lower-case hex. */
export function payloadHashOf(sealed: SealedPayload): string {
  return createHash('sha256').update(sealed.enc).update(sealed.ciphertext).digest('hex');
}

async function importKey(raw: Uint8Array, isPublic: boolean): Promise<webcrypto.CryptoKey> {
  if (raw.length !== KEY_BYTES) throw new InvalidKeyError('an X25519 key has 32 bytes');
  return await suite.kem.importKey('raw', exact(raw), isPublic);
}

function infoOf(requestId: string): ArrayBuffer {
  return exact(new TextEncoder().encode(`vouch-grant-payload-v1\n${requestId}`));
}

function exact(bytes: Uint8Array): ArrayBuffer {
  return Uint8Array.from(bytes).buffer;
}
