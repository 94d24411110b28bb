import type { StoredEvent } from '@vouch/eventstore';
import { type CheckpointVerifier, type CompactRange, openCheckpoint, TransparencyError } from '@vouch/transparency';
import type { SqlRow, SqlSession } from '../database/sql-session.js';
import { bytesOf } from '../projector/merkle-store.js';
import { DifferenceFound } from './difference.js';

/** Compares the copied bytes of consecutive events with the log's, byte for byte. Throws DifferenceFound. */
export async function compareCopies(live: SqlSession, events: readonly StoredEvent[]): Promise<void> {
  const { rows } = await live.query('select seq, bytes from event where seq between $1 and $2', [
    events[0]?.seq ?? 0,
    events.at(-1)?.seq ?? 0,
  ]);
  const copies = new Map(rows.map((row) => [Number(row.seq), bytesOf(row.bytes)]));
  for (const { seq, bytes } of events) {
    const copy = copies.get(seq);
    if (copy === undefined) throw new DifferenceFound({ kind: 'event-missing', seq });
    if (Buffer.compare(copy, bytes) === 0) continue;
    let offset = 0;
    while (offset < bytes.length && bytes[offset] === copy[offset]) offset += 1;
    throw new DifferenceFound({
      kind: 'event-bytes-differ',
      seq,
      offset,
      logLength: bytes.length,
      copyLength: copy.length,
    });
  }
}

/**
 * Extends `tree` by the events and checks every checkpoint ever signed for a size among them: its signature, and its root
 * against the log's. Returns how many there were. Throws DifferenceFound.
 */
export async function checkCheckpoints(
  live: SqlSession,
  tree: CompactRange,
  events: readonly StoredEvent[],
  verifier: CheckpointVerifier,
): Promise<number> {
  const { rows } = await live.query('select size, root, note from checkpoint where size between $1 and $2', [
    events[0]?.seq ?? 0,
    events.at(-1)?.seq ?? 0,
  ]);
  const bySize = new Map(rows.map((row) => [Number(row.size), row]));
  for (const event of events) {
    tree.appendEntry(event.bytes);
    const row = bySize.get(tree.size);
    if (row !== undefined) checkCheckpoint(row, tree, verifier);
  }
  return rows.length;
}

function checkCheckpoint(row: SqlRow, tree: CompactRange, verifier: CheckpointVerifier): void {
  const { size } = tree;
  try {
    const signed = openCheckpoint(String(row.note), verifier);
    const isSame = signed.size === size && Buffer.compare(signed.root, bytesOf(row.root)) === 0;
    if (!isSame) throw new TransparencyError('checkpoint-malformed', 'its note signs another size or root');
  } catch (error) {
    if (!(error instanceof TransparencyError)) throw error;
    throw new DifferenceFound({ kind: 'checkpoint-invalid', size, detail: error.message });
  }
  if (Buffer.compare(tree.root(), bytesOf(row.root)) !== 0) {
    const detail = `signs root ${hex(bytesOf(row.root))}, the log gives ${hex(tree.root())}`;
    throw new DifferenceFound({ kind: 'checkpoint-root-differs', size, detail });
  }
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
