import { createECDH, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { importIssuerKey, importP256, verifyRaw } from './p256.js';

/** Order of P-256. */
const N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

const scalar = (value: bigint): Buffer => Buffer.from(value.toString(16).padStart(64, '0'), 'hex');
const raw = (r: bigint, s: bigint): Uint8Array => new Uint8Array(Buffer.concat([scalar(r), scalar(s)]));

function keys(): { privateKey: KeyObject; point: Uint8Array } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { privateKey, point: new Uint8Array(publicKey.export({ format: 'der', type: 'spki' })).slice(-64) };
}

describe('P-256', () => {
  const { privateKey, point } = keys();
  const key = importP256(point, 'test');

  it('verifies raw signatures of every length of r and s, and their other half', () => {
    const seen = new Set<number>();
    for (let i = 0; i < 1500; i += 1) {
      const data = Buffer.from(`message ${i}`);
      const signature = new Uint8Array(sign('sha256', data, { key: privateKey, dsaEncoding: 'ieee-p1363' }));
      seen.add(signature[0] === 0 ? 0 : (signature[0] ?? 0) >> 7 === 1 ? 2 : 1);
      expect(verifyRaw(key, data, signature)).toBe(true);
      expect(verifyRaw(key, Buffer.from(`message ${i + 1}`), signature)).toBe(false);
      if (i > 20) continue;
      const r = BigInt(`0x${Buffer.from(signature.subarray(0, 32)).toString('hex')}`);
      const s = BigInt(`0x${Buffer.from(signature.subarray(32)).toString('hex')}`);
      expect(verifyRaw(key, data, raw(r, N - s))).toBe(true);
      expect(verifyRaw(key, data, raw(s, r))).toBe(false);
    }
    expect(seen).toEqual(new Set([0, 1, 2]));
  });

  it.each<[string, bigint, bigint]>([
    ['r of 0', 0n, 1n],
    ['s of 0', 1n, 0n],
    ['r of n', N, 1n],
    ['s of n', 1n, N],
    ['both at the top', 2n ** 256n - 1n, 2n ** 256n - 1n],
  ])('refuses %s', (_what, r, s) => {
    expect(verifyRaw(key, Buffer.from('data'), raw(r, s))).toBe(false);
  });

  it('refuses signatures of other sizes', () => {
    for (const size of [0, 63, 65, 72]) expect(verifyRaw(key, Buffer.from('data'), new Uint8Array(size))).toBe(false);
  });

  it('refuses points off the curve, the point at infinity, and coordinates beyond the field', () => {
    const off = new Uint8Array(point);
    off[63] = (off[63] ?? 0) ^ 1;
    const invalid = expect.objectContaining({ code: 'KEY_INVALID' });
    for (const bad of [off, new Uint8Array(64), new Uint8Array(64).fill(0xff)]) {
      expect(() => importP256(bad, 'test')).toThrow(invalid);
    }
  });

  it('gives the same key again for the same point only', () => {
    const second = keys().point;
    expect(importIssuerKey(point, 'a')).toBe(importIssuerKey(new Uint8Array(point), 'b'));
    expect(importIssuerKey(second, 'a')).not.toBe(importIssuerKey(point, 'a'));
  });

  it('imports what an ECDH key pair shows', () => {
    const ecdh = createECDH('prime256v1');
    const made = ecdh.generateKeys();
    expect(importP256(new Uint8Array(made.subarray(1)), 'test').asymmetricKeyDetails).toMatchObject({
      namedCurve: 'prime256v1',
    });
  });
});
