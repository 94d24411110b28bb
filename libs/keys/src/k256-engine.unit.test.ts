import { createHash, randomBytes } from 'node:crypto';
import { afterAll, describe, expect, it } from 'vitest';
import { isK256Scalar } from './k256.js';
import { loadNativeK256, pureK256 } from './k256-engine.js';

const native = loadNativeK256();
const seed = randomBytes(8).toString('hex');
afterAll(() => {
  if (native === undefined) console.warn('libsecp256k1 could not be loaded here: the pure engine is the only one');
});

describe.skipIf(native === undefined)('the native secp256k1 engine', () => {
  it('gives the bytes of the pure one', () => {
    const at = (name: string, round: number) => createHash('sha256').update(`${seed} ${name} ${round}`).digest();
    for (let round = 0; round < 50; round += 1) {
      const scalar = at('scalar', round);
      if (!isK256Scalar(scalar)) continue;
      const digest = at('digest', round);
      expect(Buffer.from(native?.publicKey(scalar) ?? []), `seed ${seed}`).toEqual(
        Buffer.from(pureK256.publicKey(scalar)),
      );
      expect(Buffer.from(native?.signRecoverable(digest, scalar) ?? []), `seed ${seed}`).toEqual(
        Buffer.from(pureK256.signRecoverable(digest, scalar)),
      );
    }
  });
});
