import { createHash, generateKeyPairSync, verify } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { signCheckpoint } from './checkpoint.js';
import { cosign, openCosignature } from './cosignature.js';
import { followLog, type SeenTree } from './follow-log.js';
import type { Hash } from './hash.js';
import { MemoryTree } from './memory-tree.js';

const ORIGIN = 'log.vouch.test/fleet';
const log = generateKeyPairSync('ed25519');
const witness = { ...generateKeyPairSync('ed25519'), name: 'witness.test/w1' };
const verifier = { origin: ORIGIN, publicKey: log.publicKey };

function treeOf(size: number, changed?: number): MemoryTree {
  const tree = new MemoryTree();
  for (let seq = 1; seq <= size; seq += 1) tree.append(Buffer.from(seq === changed ? 'rewritten' : `event ${seq}`));
  return tree;
}

function noteOf(tree: MemoryTree): string {
  return signCheckpoint({ origin: ORIGIN, size: tree.size, root: tree.root(), time: null }, log);
}

const seenOf = (tree: MemoryTree): SeenTree => ({ size: tree.size, root: tree.root() });
const proofsOf = (tree: MemoryTree) => async (from: number, to: number) => tree.consistencyProof(from, to);
const none = async (): Promise<Hash[]> => [];

describe('followLog', () => {
  it('takes the first checkpoint, the same again, and one that extends it', async () => {
    const [small, large] = [treeOf(150), treeOf(217)];
    expect((await followLog(undefined, noteOf(small), verifier, none)).size).toBe(150);
    expect((await followLog(seenOf(small), noteOf(small), verifier, none)).size).toBe(150);
    expect((await followLog(seenOf(small), noteOf(large), verifier, proofsOf(large))).size).toBe(217);
  });

  it('event 100 rewritten and everything signed again: refused, naming both sizes', async () => {
    const seen = seenOf(treeOf(150));
    for (const size of [150, 151, 217, 256, 300]) {
      const forged = treeOf(size, 100);
      const look = followLog(seen, noteOf(forged), verifier, proofsOf(forged));
      await expect(look).rejects.toMatchObject({
        code: 'history-rewritten',
        message: expect.stringMatching(new RegExp(`first 150 events .*checkpoint of ${size}`)),
      });
    }
  });

  it('a log that became smaller, and a proof that is wrong, short or long', async () => {
    const [small, large] = [treeOf(150), treeOf(217)];
    const back = followLog(seenOf(large), noteOf(small), verifier, none);
    await expect(back).rejects.toMatchObject({ code: 'log-went-back' });
    const proof = large.consistencyProof(150);
    const wrong = [...proof].reverse();
    for (const bad of [[], wrong, proof.slice(1), [...proof, proof[0] as Hash]]) {
      const look = followLog(seenOf(small), noteOf(large), verifier, async () => bad);
      await expect(look).rejects.toMatchObject({ code: 'history-rewritten' });
    }
  });
});

describe('cosignature', () => {
  const at = new Date('2026-01-02T03:04:05.678Z');

  it('is a C2SP cosignature/v1', () => {
    const tree = treeOf(9);
    const cosigned = cosign(noteOf(tree), witness, at);
    const line = cosigned.trimEnd().split('\n').at(-1) ?? '';
    const [dash, name, blobText] = line.split(' ');
    expect([dash, name]).toEqual(['\u2014', witness.name]);
    const blob = Buffer.from(blobText ?? '', 'base64');
    expect(blob.length).toBe(76);
    const raw = Buffer.from(witness.publicKey.export({ format: 'jwk' }).x ?? '', 'base64url');
    const id = createHash('sha256').update(`${witness.name}\n\x04`).update(raw).digest().subarray(0, 4);
    expect(blob.subarray(0, 4).equals(id)).toBe(true);
    expect(blob.readBigUInt64BE(4)).toBe(1767323045n);
    const text = cosigned.slice(0, cosigned.indexOf('\n\n') + 1);
    const signed = Buffer.from(`cosignature/v1\ntime 1767323045\n${text}`);
    expect(verify(null, signed, witness.publicKey, blob.subarray(12))).toBe(true);
  });

  it('opens for its witness alone, beside the signature of the log', async () => {
    const tree = treeOf(9);
    const cosigned = cosign(noteOf(tree), witness, at);
    expect(openCosignature(cosigned, witness)).toEqual(new Date('2026-01-02T03:04:05.000Z'));
    expect((await followLog(seenOf(tree), cosigned, verifier, none)).size).toBe(9);
    const stranger = { name: witness.name, publicKey: generateKeyPairSync('ed25519').publicKey };
    expect(() => openCosignature(cosigned, stranger)).toThrow(expect.objectContaining({ code: 'cosignature-missing' }));
    expect(() => openCosignature(noteOf(tree), witness)).toThrow(
      expect.objectContaining({ code: 'cosignature-missing' }),
    );
  });

  it('does not open for another tree or another time', () => {
    const cosigned = cosign(noteOf(treeOf(9)), witness, at);
    const line = cosigned.trimEnd().split('\n').at(-1) ?? '';
    const moved = `${noteOf(treeOf(10))}${line}\n`;
    expect(() => openCosignature(moved, witness)).toThrow(expect.objectContaining({ code: 'cosignature-invalid' }));
    const blob = Buffer.from(line.split(' ')[2] ?? '', 'base64');
    blob.writeBigUInt64BE(1n, 4);
    const later = `${noteOf(treeOf(9))}\u2014 ${witness.name} ${blob.toString('base64')}\n`;
    expect(() => openCosignature(later, witness)).toThrow(expect.objectContaining({ code: 'cosignature-invalid' }));
  });
});
