import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import {
  canonicalBytes,
  ed25519PublicKey,
  KeyDirectory,
  MemoryTables,
  projectEvent,
  readEvent,
  tableNames,
  trustFileSchema,
  verifyAuthor,
} from '@vouch/domain';
import { MemoryTree, openCheckpoint } from '@vouch/transparency';
import { describe, expect, it } from 'vitest';

/**
 * Logs that fleets of earlier days wrote. Today's code must still read every event of them, verify its author, come to
 * the root that was signed then, and fold them to the same rows, for ever. A history is added once and never edited; its
 * rows are written with SAVE_HISTORIES=1 on the day it is added.
 */
const folder = new URL('./histories/', import.meta.url);
const names = readdirSync(folder)
  .filter((file) => file.endsWith('.jsonl'))
  .map((file) => file.slice(0, -'.jsonl'.length));

describe.each(names)('saved history %s', (name) => {
  const read = (suffix: string) => readFileSync(new URL(`${name}${suffix}`, folder), 'utf8');
  const saved = JSON.parse(read('.trust.json')) as { trust: unknown; checkpoint: { size: number; note: string } };
  const trust = trustFileSchema.parse(saved.trust);
  const directory = new KeyDirectory(trust);
  const stored = read('.jsonl')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { seq: number; subject: string; event: unknown })
    .map(({ seq, subject, event }) => ({ seq, subject, bytes: canonicalBytes(event) }));

  it('is read, event by event, and every author is verified', () => {
    for (const { subject, bytes } of stored) verifyAuthor(readEvent(bytes, subject), directory);
    expect(stored.map(({ seq }) => seq)).toEqual(stored.map((_, index) => index + 1));
  });

  it('has the root that was signed', () => {
    const tree = new MemoryTree();
    for (const { bytes } of stored) tree.append(bytes);
    const { origin, publicKey } = trust.log;
    const { size, root } = openCheckpoint(saved.checkpoint.note, { origin, publicKey: ed25519PublicKey(publicKey) });
    expect(size).toBe(stored.length);
    expect(Buffer.from(root).equals(tree.root())).toBe(true);
  });

  it('folds to the rows of that day', () => {
    const tables = new MemoryTables();
    for (const { seq, subject, bytes } of stored) {
      const { envelope } = readEvent(bytes, subject);
      tables.apply(projectEvent({ seq, envelope } as Parameters<typeof projectEvent>[0]));
    }
    const rows = Object.fromEntries(tableNames.map((table) => [table, tables.rows(table)]));
    const file = new URL(`${name}.rows.json`, folder);
    if (process.env.SAVE_HISTORIES === '1') writeFileSync(file, `${JSON.stringify(rows, null, 2)}\n`);
    // A table that came later holds nothing of that day's events, or the history is saved anew with it.
    const saved = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
    const laterTables = Object.keys(rows).filter((table) => !(table in saved));
    expect(rows).toEqual({ ...saved, ...Object.fromEntries(laterTables.map((table) => [table, []])) });
  });
});
