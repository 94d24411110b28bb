import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { parseQuote } from '@vouch/attestation';
import type { VerifyInput } from './verify-inputs.js';

/** The native work a verifier cannot do without: one P-256 verify and one import of a P-256 key, in their cheapest form. */
export interface NativeWork {
  /** One `crypto.verify` with a key object at hand, over the signed bytes of a quote. */
  readonly verify: () => void;
  /** One key object made from a point, as PEM: the cheapest way Node has. */
  readonly importKey: () => void;
  /** The same as JWK, for comparison. */
  readonly importJwk: () => void;
}

interface Signed {
  readonly key: KeyObject;
  readonly data: Uint8Array;
  readonly signature: Uint8Array;
  readonly pem: string;
  readonly jwk: { readonly kty: string; readonly crv: string; readonly x: string; readonly y: string };
}

/** Works on the attestation keys and signatures of these quotes, in turn. */
export function nativeWork(inputs: readonly VerifyInput[]): NativeWork {
  const signed = inputs.map(({ quote }) => readSigned(quote));
  let turn = 0;
  const next = (): Signed => {
    turn = (turn + 1) % signed.length;
    return signed[turn] as Signed;
  };
  return {
    verify: () => {
      const { key, data, signature } = next();
      if (!verify('sha256', data, key, signature)) throw new Error('a good signature does not verify');
    },
    importKey: () => void createPublicKey(next().pem),
    importJwk: () => void createPublicKey({ key: next().jwk, format: 'jwk' }),
  };
}

function readSigned(quote: Uint8Array): Signed {
  const parsed = parseQuote(quote);
  if (!parsed.ok) throw new Error(parsed.failed.detail);
  const { attestationKey, quoteSignature, signedBytes } = parsed.quote;
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');
  const jwk = {
    kty: 'EC',
    crv: 'P-256',
    x: text(attestationKey.subarray(0, 32)),
    y: text(attestationKey.subarray(32)),
  };
  const key = createPublicKey({ key: jwk, format: 'jwk' });
  const pem = key.export({ format: 'pem', type: 'spki' }).toString();
  return { key, data: new Uint8Array(signedBytes), signature: derOf(quoteSignature), pem, jwk };
}

function derOf(raw: Uint8Array): Uint8Array {
  const integer = (bytes: Uint8Array): Buffer => {
    const digits = bytes.subarray(bytes.findIndex((byte) => byte !== 0));
    const content = (digits[0] ?? 0) < 0x80 ? Buffer.from(digits) : Buffer.concat([Buffer.from([0]), digits]);
    return Buffer.concat([Buffer.from([2, content.length]), content]);
  };
  const body = Buffer.concat([integer(raw.subarray(0, 32)), integer(raw.subarray(32))]);
  return new Uint8Array(Buffer.concat([Buffer.from([0x30, body.length]), body]));
}
