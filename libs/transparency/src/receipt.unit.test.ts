import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openCheckpoint, signCheckpoint } from './checkpoint.js';
import { MemoryTree } from './memory-tree.js';
import { verifyReceipt } from './receipt.js';
import { receiptOf } from './receipt-of.js';
import { TransparencyError } from './transparency-error.js';

const ORIGIN = 'log.vouch.test/fleet';
const signer = keyPair(1);
const stranger = keyPair(2);
const verifier = { origin: ORIGIN, publicKey: signer.publicKey };

/** Deterministic Ed25519 key: PKCS#8 prefix (RFC 8410) and a seed of 32 equal bytes. */
function keyPair(seed: number) {
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), Buffer.alloc(32, seed)]);
  const privateKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  return { privateKey, publicKey: createPublicKey(privateKey) };
}

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof TransparencyError) return error.code;
    throw error;
  }
  return 'accepted';
}

function checkpointOf(tree: MemoryTree, time: Date | null = new Date('2026-01-02T03:04:05.678Z')) {
  return { origin: ORIGIN, size: tree.size, root: tree.root(), time };
}

function exampleReceipt() {
  const tree = new MemoryTree();
  const entries = Array.from({ length: 11 }, (_, i) => new TextEncoder().encode(`{"event":${i}}`));
  for (const entry of entries) tree.append(entry);
  const event = entries[6] ?? new Uint8Array();
  return receiptOf(7, event, tree.inclusionProof(6), signCheckpoint(checkpointOf(tree), signer));
}

describe('checkpoint', () => {
  const tree = new MemoryTree();
  tree.append(Uint8Array.of(1));

  it('is a C2SP signed note', () => {
    const note = signCheckpoint(checkpointOf(tree), signer);
    const [origin, size, root, time, empty, signature, end] = note.split('\n');
    expect([origin, size, time, empty, end]).toEqual([ORIGIN, '1', '2026-01-02T03:04:05.678Z', '', '']);
    expect(Buffer.from(root ?? '', 'base64').equals(tree.root())).toBe(true);
    expect(signature?.startsWith(`\u2014 ${ORIGIN} `)).toBe(true);
    const raw = Buffer.from(signer.publicKey.export({ format: 'jwk' }).x ?? '', 'base64url');
    const expected = createHash('sha256').update(`${ORIGIN}\n\x01`).update(raw).digest().subarray(0, 4);
    const blob = Buffer.from(signature?.split(' ')[2] ?? '', 'base64');
    expect(blob.subarray(0, 4).equals(expected)).toBe(true);
    expect(blob.length).toBe(68);
  });

  it('comes back as it was signed, with and without a time', () => {
    for (const time of [new Date('2026-01-02T03:04:05.678Z'), null]) {
      expect(openCheckpoint(signCheckpoint(checkpointOf(tree, time), signer), verifier)).toEqual(
        checkpointOf(tree, time),
      );
    }
    const empty = checkpointOf(new MemoryTree());
    expect(openCheckpoint(signCheckpoint(empty, signer), verifier)).toEqual(empty);
  });

  it('takes a note that a witness signed as well', () => {
    const note = signCheckpoint(checkpointOf(tree), signer);
    const witness = `\u2014 witness.test ${Buffer.alloc(76, 7).toString('base64')}\n`;
    expect(openCheckpoint(note + witness, verifier).size).toBe(1);
  });

  it('refuses another key, another origin, and a note without a signature', () => {
    const note = signCheckpoint(checkpointOf(tree), signer);
    expect(codeOf(() => openCheckpoint(note, { ...verifier, publicKey: stranger.publicKey }))).toBe(
      'checkpoint-signature-missing',
    );
    expect(codeOf(() => openCheckpoint(note, { ...verifier, origin: 'other.test' }))).toBe(
      'checkpoint-origin-mismatch',
    );
    expect(codeOf(() => openCheckpoint(note.slice(0, note.indexOf('\n\n') + 1), verifier))).toBe(
      'checkpoint-malformed',
    );
    const lines = note.split('\n');
    const forged = signCheckpoint({ ...checkpointOf(tree), size: 2 }, signer).split('\n')[5];
    lines[5] = forged ?? '';
    expect(codeOf(() => openCheckpoint(lines.join('\n'), verifier))).toBe('checkpoint-signature-invalid');
  });

  it('refuses every single changed byte', () => {
    const note = Buffer.from(signCheckpoint(checkpointOf(tree), signer), 'utf8');
    for (let at = 0; at < note.length; at += 1) {
      for (const mask of [0x01, 0x20, 0x80]) {
        const changed = Buffer.from(note);
        changed[at] = (changed[at] ?? 0) ^ mask;
        expect(
          codeOf(() => openCheckpoint(changed.toString('utf8'), verifier)),
          `byte ${at}`,
        ).not.toBe('accepted');
      }
    }
  });

  it('never takes arbitrary text', () => {
    fc.assert(fc.property(fc.string(), (text) => codeOf(() => openCheckpoint(text, verifier)) !== 'accepted'));
  });

  it('does not sign for an origin that could break the note', () => {
    for (const origin of ['', 'a b', 'a+b', 'a\nb']) {
      expect(codeOf(() => signCheckpoint({ ...checkpointOf(tree), origin }, signer))).toBe('checkpoint-malformed');
    }
    const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    expect(() => signCheckpoint(checkpointOf(tree), p256)).toThrow(TypeError);
  });
});

describe('receipt', () => {
  it('proves the event', () => {
    const verified = verifyReceipt(JSON.parse(JSON.stringify(exampleReceipt())), verifier);
    expect(new TextDecoder().decode(verified.event)).toBe('{"event":6}');
    expect(verified.seq).toBe(7);
    expect(verified.checkpoint.size).toBe(11);
  });

  it('refuses every single changed character of its JSON', () => {
    const text = JSON.stringify(exampleReceipt());
    for (let at = 0; at < text.length; at += 1) {
      const code = text.charCodeAt(at);
      const changed = text.slice(0, at) + String.fromCharCode(code ^ 1) + text.slice(at + 1);
      let value: unknown;
      try {
        value = JSON.parse(changed);
      } catch {
        continue;
      }
      expect(
        codeOf(() => verifyReceipt(value, verifier)),
        `character ${at}`,
      ).not.toBe('accepted');
    }
  });

  it('refuses another place, another event, a missing or an added member', () => {
    const receipt = exampleReceipt();
    const { path: _, ...short } = receipt;
    const changes: unknown[] = [
      { ...receipt, seq: 8, index: 7 },
      { ...receipt, index: 7 },
      { ...receipt, seq: 100, index: 99 },
      { ...receipt, event: Buffer.from('{"event":7}').toString('base64') },
      { ...receipt, version: 2 },
      { ...receipt, path: receipt.path.slice(1) },
      { ...receipt, path: [...receipt.path, receipt.path[0]] },
      { ...receipt, path: Array(60).fill(receipt.path[0]) },
      { ...receipt, extra: true },
      short,
      null,
      'receipt',
      [],
    ];
    for (const change of changes) expect(codeOf(() => verifyReceipt(change, verifier))).not.toBe('accepted');
  });
});
