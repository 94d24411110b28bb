import { createHash, createPublicKey, type KeyObject, sign } from 'node:crypto';
import type { EarClaims } from './ear-claims.js';

/** The key given cannot sign a JWT here. Not retryable. */
export class UnsupportedSigningKeyError extends Error {
  readonly code = 'SIGNING_KEY_UNSUPPORTED';
  readonly retryable = false;
  constructor(found: string) {
    super(`an attestation result is signed with a private P-256 (ES256) or Ed25519 (EdDSA) key, not ${found}`);
    this.name = 'UnsupportedSigningKeyError';
  }
}

/**
 * The claims as a JWT in compact form (RFC 7515), signed ES256 or EdDSA after the kind of key; `kid` is the key's RFC 7638
 * thumbprint. There is no unsigned form.
 * @throws UnsupportedSigningKeyError
 */
export function signEar(claims: EarClaims, key: KeyObject): string {
  const { algorithm, kid } = describeKey(key);
  const header = { alg: algorithm, typ: 'JWT', kid };
  const input = [header, claims]
    .map((part) => Buffer.from(JSON.stringify(part), 'utf8').toString('base64url'))
    .join('.');
  const signature =
    algorithm === 'EdDSA'
      ? sign(null, Buffer.from(input), key)
      : sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' });
  return `${input}.${signature.toString('base64url')}`;
}

/** How a key would sign, without signing. @throws UnsupportedSigningKeyError */
export function earAlgorithm(key: KeyObject): 'ES256' | 'EdDSA' {
  return describeKey(key).algorithm;
}

function describeKey(key: KeyObject): { readonly algorithm: 'ES256' | 'EdDSA'; readonly kid: string } {
  if (key.type !== 'private') throw new UnsupportedSigningKeyError(`a ${key.type} key`);
  const curve = key.asymmetricKeyDetails?.namedCurve;
  const kind = key.asymmetricKeyType ?? 'unknown';
  const jwk = () => createPublicKey(key).export({ format: 'jwk' });
  if (kind === 'ed25519') {
    const { crv, x } = jwk();
    return { algorithm: 'EdDSA', kid: thumbprint({ crv, kty: 'OKP', x }) };
  }
  if (kind === 'ec' && curve === 'prime256v1') {
    const { crv, x, y } = jwk();
    return { algorithm: 'ES256', kid: thumbprint({ crv, kty: 'EC', x, y }) };
  }
  throw new UnsupportedSigningKeyError(curve === undefined ? kind : `${kind} ${curve}`);
}

/** Members in the order of RFC 7638 §3.2. */
function thumbprint(members: Readonly<Record<string, unknown>>): string {
  return createHash('sha256').update(JSON.stringify(members)).digest('base64url');
}
