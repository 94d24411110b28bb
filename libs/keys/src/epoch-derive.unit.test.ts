import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { deriveAppCaKey, deriveAppKeys, verifyAppKeySignature } from './app-keys.js';
import { deriveEpochKey, deriveEpochScalar } from './epoch-derive.js';
import { InvalidKeyError } from './errors.js';
import { endorseEventKey, kmsEventKey, verifyEndorsement } from './event-key.js';
import { isK256Scalar } from './k256.js';
import { RootKeys } from './root-keys.js';

const hex = (value: Uint8Array): string => Buffer.from(value).toString('hex');
const CA = Uint8Array.from(Buffer.from('f57527cea4ab7ffb49af99b158cdc0e3ec06398f528349ea236b7d2afe19cec1', 'hex'));
const K256 = Uint8Array.from(Buffer.from('e43beabd3e33b2e592f88113dd0b5e7d182e0318411b13b7e7e8f37e7a4989e9', 'hex'));
const APP_ID = Uint8Array.from(Buffer.from('000102030405060708090a0b0c0d0e0f10111213', 'hex'));
const INSTANCE_ID = Uint8Array.from(Buffer.from('808182838485868788898a8b8c8d8e8f90919293', 'hex'));
const rootOf = (keyEpoch: number) => RootKeys.fromScalars(CA, K256, keyEpoch);

/** HKDF (RFC 5869) written out, one block: what the framed KDF must equal. */
function hkdf32(ikm: Uint8Array, salt: string, info: Uint8Array): string {
  const prk = createHmac('sha256', salt).update(ikm).digest();
  return createHmac('sha256', prk).update(info).update(Uint8Array.of(1)).digest('hex');
}

describe('the KDF of later key epochs', () => {
  it('is HKDF over a framed context', () => {
    const info = Buffer.from(
      `00000007${'00000003'}${Buffer.from('env').toString('hex')}0000000200000001aa00000002bbcc0000000000000020`,
      'hex',
    );
    const parts = [Uint8Array.of(0xaa), Uint8Array.of(0xbb, 0xcc)];
    expect(hex(deriveEpochKey(CA, { keyEpoch: 7, purpose: 'env', parts }, 32))).toBe(
      hkdf32(CA, 'vouch-kms-key-epoch-v1', info),
    );
  });

  it('gives every context its own key: epoch, purpose, parts and where one part ends', () => {
    const context = fc.record({
      keyEpoch: fc.integer({ min: 1, max: 5 }),
      purpose: fc.constantFrom('a', 'b', 'ab', ''),
      parts: fc.array(fc.uint8Array({ maxLength: 3 }), { maxLength: 3 }),
    });
    const text = ({ keyEpoch, purpose, parts }: { keyEpoch: number; purpose: string; parts: Uint8Array[] }) =>
      JSON.stringify([keyEpoch, purpose, parts.map(hex)]);
    fc.assert(
      fc.property(context, context, (one, other) => {
        const same = hex(deriveEpochKey(CA, one, 32)) === hex(deriveEpochKey(CA, other, 32));
        expect(same).toBe(text(one) === text(other));
      }),
    );
  });

  it('has no epoch 0 and no half epochs', () => {
    for (const keyEpoch of [0, -1, 1.5, 2 ** 32, Number.NaN]) {
      expect(() => deriveEpochKey(CA, { keyEpoch, purpose: 'x', parts: [] }, 32)).toThrow(InvalidKeyError);
    }
    expect(() => RootKeys.generate(-1)).toThrow(InvalidKeyError);
  });

  it('takes the next candidate for a scalar the curve refuses', () => {
    const context = { keyEpoch: 1, purpose: 'x', parts: [] };
    const first = deriveEpochScalar(CA, context, isK256Scalar);
    const second = deriveEpochScalar(CA, context, (bytes) => hex(bytes) !== hex(first));
    expect(hex(second)).not.toBe(hex(first));
    expect(() => deriveEpochScalar(CA, context, () => false)).toThrow(InvalidKeyError);
  });
});

describe('app keys of epochs', () => {
  it('never meet, even from one and the same root secret', () => {
    const all = [0, 1, 2, 3].flatMap((keyEpoch) => {
      const root = rootOf(keyEpoch);
      const keys = deriveAppKeys(root, APP_ID, INSTANCE_ID);
      const { diskCryptKey, envCryptKey, envPublicKey, k256Key, k256PublicKey } = keys;
      return [
        ...[diskCryptKey, envCryptKey, envPublicKey, k256Key, k256PublicKey].map(hex),
        hex(deriveAppCaKey(root, APP_ID).scalar),
        hex(kmsEventKey(root).rawPublicKey),
      ];
    });
    expect(new Set(all).size).toBe(all.length);
  });

  it('stay what they were: vectors of epoch 1', () => {
    const keys = deriveAppKeys(rootOf(1), APP_ID, INSTANCE_ID);
    const frame = (purpose: string, ...parts: Uint8Array[]) => {
      const framed = parts.map((part) => `${part.length.toString(16).padStart(8, '0')}${hex(part)}`).join('');
      const count = parts.length.toString(16).padStart(8, '0');
      const name = Buffer.from(purpose);
      const head = `00000001${name.length.toString(16).padStart(8, '0')}${name.toString('hex')}${count}`;
      return Buffer.from(`${head}${framed}0000000000000020`, 'hex');
    };
    const salt = 'vouch-kms-key-epoch-v1';
    expect(hex(keys.diskCryptKey)).toBe(hkdf32(CA, salt, frame('app-disk-crypt-key', APP_ID, INSTANCE_ID)));
    expect(hex(keys.envCryptKey)).toBe(hkdf32(CA, salt, frame('env-encrypt-key', APP_ID)));
    expect(hex(keys.k256Key)).toBe(hkdf32(K256, salt, frame('app-key', APP_ID)));
    expect(hex(deriveAppCaKey(rootOf(1), APP_ID).scalar)).toBe(hkdf32(CA, salt, frame('app-ca', APP_ID)));
  });

  it('are signed by the root of their epoch in the form that clients verify', () => {
    const root = RootKeys.generate(3);
    const keys = deriveAppKeys(root, APP_ID, INSTANCE_ID);
    const claim = { appId: APP_ID, appPublicKey: keys.k256PublicKey, signature: keys.k256Signature };
    expect(verifyAppKeySignature({ ...claim, kmsK256PublicKey: root.k256PublicKey })).toBe(true);
    expect(verifyAppKeySignature({ ...claim, kmsK256PublicKey: RootKeys.generate(3).k256PublicKey })).toBe(false);
  });

  it('let the new root endorse the event key of the old one', () => {
    const old = kmsEventKey(RootKeys.generate());
    const next = RootKeys.generate(1);
    const endorsement = endorseEventKey(next, old.rawPublicKey);
    expect(verifyEndorsement({ rootCaSpki: next.caSpki, eventKey: old.rawPublicKey, endorsement })).toBe(true);
  });
});
