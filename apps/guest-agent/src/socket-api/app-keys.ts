import { createPublicKey, verify } from 'node:crypto';
import {
  deriveGuestKey,
  type GuestKey,
  guestKeyAlgorithm,
  InvalidKeyError,
  signEd25519,
  signK256Digest,
  signK256Sha256,
  verifyK256Digest,
  verifyK256Sha256,
} from '@vouch/keys';
import type { GuestContext } from './guest-context.js';
import { RpcError } from './rpc-error.js';
import type { RpcRequest } from './rpc-request.js';

/** Path and purpose of the key that Sign uses. */
const SIGN_PATH = 'vms';
const SIGN_PURPOSE = 'signing';
const DIGEST_BYTES = 32;
const SHORTEST_DIGEST_BYTES = 16;

/** GetKey: the path reaches the derivation as it is; the purpose only enters the signed claim. */
export function getKey(context: GuestContext, request: RpcRequest): Record<string, unknown> {
  const key = derive(context, request.text('path'), request.text('purpose'), request.text('algorithm'));
  return { key: hex(key.key), signature_chain: key.signatureChain.map(hex) };
}

/** Sign with the key of path "vms": secp256k1 over SHA-256(data), secp256k1_prehashed over a digest, or ed25519. */
export function signData(context: GuestContext, request: RpcRequest): Record<string, unknown> {
  const algorithm = request.text('algorithm');
  const data = request.bytes('data');
  if (algorithm === '') throw new RpcError('Unsupported algorithm');
  const prehashed = algorithm === 'secp256k1_prehashed';
  if (prehashed && data.length !== DIGEST_BYTES) {
    throw new RpcError(`Pre-hashed signing requires a 32-byte digest, but received ${data.length} bytes`);
  }
  const key = derive(context, SIGN_PATH, SIGN_PURPOSE, prehashed ? 'secp256k1' : algorithm);
  const signature =
    key.algorithm === 'ed25519'
      ? signEd25519(key.key, data)
      : prehashed
        ? signK256Digest(key.key, data)
        : signK256Sha256(key.key, data);
  return {
    signature: hex(signature),
    signature_chain: [signature, ...key.signatureChain].map(hex),
    public_key: hex(key.publicKey),
  };
}

/** Verify: `valid` is false for a wrong signature; a malformed key or signature is refused. */
export function verifyData(request: RpcRequest): Record<string, unknown> {
  const algorithm = request.text('algorithm');
  const data = request.bytes('data');
  const signature = request.bytes('signature');
  const publicKey = request.bytes('public_key');
  if (signature.length !== 64) throw new RpcError('invalid signature: 64 bytes are required');
  try {
    switch (algorithm) {
      case 'ed25519':
        return { valid: verify(null, data, ed25519Key(publicKey), signature) };
      case 'secp256k1':
      case 'k256':
        return { valid: verifyK256Sha256(publicKey, data, signature) };
      case 'secp256k1_prehashed':
        return {
          valid: data.length >= SHORTEST_DIGEST_BYTES && verifyK256Digest(publicKey, asDigest(data), signature),
        };
      default:
        throw new RpcError('Unsupported algorithm');
    }
  } catch (cause) {
    if (cause instanceof InvalidKeyError) throw new RpcError(`invalid public key: ${cause.message}`, { cause });
    throw cause;
  }
}

function derive(context: GuestContext, path: string, purpose: string, algorithmName: string): GuestKey {
  const algorithm = guestKeyAlgorithm(algorithmName);
  if (algorithm === undefined) throw new RpcError('Unsupported algorithm');
  const { k256Key, k256Signature } = context.grant.payload;
  return deriveGuestKey({
    k256Key: Buffer.from(k256Key, 'hex'),
    k256Signature: Buffer.from(k256Signature, 'hex'),
    path,
    purpose,
    algorithm,
  });
}

/** Digests of another length as dstack takes them: shorter ones padded on the left, longer ones cut on the right. */
function asDigest(data: Uint8Array): Uint8Array {
  const digest = new Uint8Array(DIGEST_BYTES);
  const taken = data.subarray(0, DIGEST_BYTES);
  digest.set(taken, DIGEST_BYTES - taken.length);
  return digest;
}

function ed25519Key(raw: Uint8Array): ReturnType<typeof createPublicKey> {
  if (raw.length !== 32) throw new InvalidKeyError('an Ed25519 public key has 32 bytes');
  const x = Buffer.from(raw).toString('base64url');
  return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
