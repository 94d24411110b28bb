import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InvalidKeyError, PayloadFormError, SealOpenError } from './errors.js';
import { decodeGrantPayload, encodeGrantPayload, type GrantPayload } from './grant-payload.js';
import {
  generateHpkeKeyPair,
  openPayload,
  payloadHashOf,
  sealPayload,
  sealPayloadRepeatably,
  sealWithPackage,
} from './hpke.js';
import { RootKeys } from './root-keys.js';
import { mintRootCa } from './x509/app-certificates.js';

const REQUEST = '0b9d2b3e-6f1a-4b8e-9f0e-3a1d5a1c7e11';
const flip = (bytes: Uint8Array, at: number): Uint8Array => {
  const changed = Uint8Array.from(bytes);
  changed[at] = (changed[at] ?? 0) ^ 1;
  return changed;
};

describe('sealed payloads', () => {
  it('open for the recipient and the request only', async () => {
    const guest = await generateHpkeKeyPair();
    const plaintext = Buffer.from('keys');
    const sealed = await sealPayload(guest.publicKey, REQUEST, plaintext);
    expect(Buffer.from(await openPayload(guest.privateKey, REQUEST, sealed)).toString()).toBe('keys');
    expect(payloadHashOf(sealed)).toBe(
      createHash('sha256')
        .update(Buffer.concat([sealed.enc, sealed.ciphertext]))
        .digest('hex'),
    );
    const other = await generateHpkeKeyPair();
    await expect(openPayload(other.privateKey, REQUEST, sealed)).rejects.toThrow(SealOpenError);
    await expect(openPayload(guest.privateKey, `${REQUEST}x`, sealed)).rejects.toThrow(SealOpenError);
    await expect(
      openPayload(guest.privateKey, REQUEST, { ...sealed, ciphertext: flip(sealed.ciphertext, 0) }),
    ).rejects.toThrow(SealOpenError);
    await expect(openPayload(guest.privateKey, REQUEST, { ...sealed, enc: flip(sealed.enc, 3) })).rejects.toThrow(
      SealOpenError,
    );
  });

  it('are not made for a key of small order or of another size', async () => {
    await expect(sealPayload(new Uint8Array(32), REQUEST, new Uint8Array(1))).rejects.toThrow(InvalidKeyError);
    await expect(sealPayload(new Uint8Array(31), REQUEST, new Uint8Array(1))).rejects.toThrow(InvalidKeyError);
  });
});

describe('repeatable sealing', () => {
  it('gives the bytes of the RFC 9180 package for every recipient, request, plaintext and seed', async () => {
    const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 });
    const recipient = (await generateHpkeKeyPair()).publicKey;
    await fc.assert(
      fc.asyncProperty(fc.string(), fc.uint8Array({ maxLength: 2000 }), bytes32, async (request, plaintext, seed) => {
        const ours = sealPayloadRepeatably(recipient, request, plaintext, seed);
        const theirs = await sealWithPackage(recipient, request, plaintext, seed);
        expect(Buffer.from(ours.enc).equals(theirs.enc)).toBe(true);
        expect(Buffer.from(ours.ciphertext).equals(theirs.ciphertext)).toBe(true);
      }),
      { numRuns: 50 },
    );
  });

  it('refuses recipients of small order or another size', () => {
    const seed = new Uint8Array(32).fill(7);
    for (const recipient of [new Uint8Array(32), Uint8Array.of(1, ...new Uint8Array(31)), new Uint8Array(31)]) {
      expect(() => sealPayloadRepeatably(recipient, REQUEST, new Uint8Array(1), seed)).toThrow(InvalidKeyError);
    }
  });
});

describe('grant payload', () => {
  const root = RootKeys.generate();
  const payload: GrantPayload = {
    diskCryptKey: '11'.repeat(32),
    envCryptKey: '22'.repeat(32),
    k256Key: '33'.repeat(32),
    k256Signature: '44'.repeat(65),
    caCert: mintRootCa(root, new Date('2026-01-01T00:00:00Z')).pem,
    gatewayAppId: '',
    osImageHash: '55'.repeat(32),
    keyProvider: { name: 'kms', id: Buffer.from(root.caSpki).toString('hex') },
  };

  it('round-trips in canonical form', () => {
    const bytes = encodeGrantPayload(payload);
    expect(Buffer.from(bytes).toString()).toMatch(/^\{"caCert":/);
    expect(decodeGrantPayload(bytes)).toEqual(payload);
  });

  it('refuses malformed fields without showing a secret', () => {
    const secret = '7f'.repeat(31);
    for (const broken of [
      { ...payload, diskCryptKey: secret },
      { ...payload, keyProvider: { name: 'none', id: '' } },
      { ...payload, extra: secret },
      { ...payload, caCert: 'no certificate' },
    ]) {
      const bytes = new TextEncoder().encode(JSON.stringify(broken));
      expect(() => decodeGrantPayload(bytes)).toThrow(PayloadFormError);
      expect(() => decodeGrantPayload(bytes)).not.toThrow(secret);
    }
    expect(() => decodeGrantPayload(Buffer.from(`{"k256Key":"${secret}`))).toThrow(
      new PayloadFormError('the grant payload is not UTF-8 JSON'),
    );
  });

  it('seals repeatably from a secret seed, and differently for another request or seed', async () => {
    const pair = await generateHpkeKeyPair();
    const plaintext = new TextEncoder().encode('payload');
    const seed = new Uint8Array(32).fill(7);
    const first = sealPayloadRepeatably(pair.publicKey, 'r1', plaintext, seed);
    expect(sealPayloadRepeatably(pair.publicKey, 'r1', plaintext, seed)).toEqual(first);
    expect(await openPayload(pair.privateKey, 'r1', first)).toEqual(plaintext);
    const otherSeed = sealPayloadRepeatably(pair.publicKey, 'r1', plaintext, new Uint8Array(32).fill(8));
    expect(otherSeed.enc).not.toEqual(first.enc);
    const otherRequest = sealPayloadRepeatably(pair.publicKey, 'r2', plaintext, seed);
    expect(otherRequest.ciphertext).not.toEqual(first.ciphertext);
    expect(() => sealPayloadRepeatably(pair.publicKey, 'r1', plaintext, seed.subarray(1))).toThrow('32 bytes');
  });
});
