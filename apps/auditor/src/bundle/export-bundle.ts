import { once } from 'node:events';
import type { Writable } from 'node:stream';
import type { TrustFile } from '@vouch/domain';
import type { SqlSession } from '../database/sql-session.js';
import { latestCheckpoint } from '../projector/checkpoint-store.js';
import { bytesOf } from '../projector/merkle-store.js';
import type { BundleLine } from './bundle-line.js';

const PAGE_EVENTS = 256;

/**
 * Writes the bundle of everything the last checkpoint covers; returns the number of events, 0 when nothing is signed
 * yet. Nothing is verified here: that is the business of whoever reads it.
 */
export async function exportBundle(session: SqlSession, trust: TrustFile, out: Writable): Promise<number> {
  const last = await latestCheckpoint(session);
  if (last === undefined) return 0;
  await write(out, { vouchBundle: 1, size: last.size, trust });
  for (let first = 1; first <= last.size; first += PAGE_EVENTS) {
    const end = Math.min(first + PAGE_EVENTS - 1, last.size);
    const events = await session.query('select seq, bytes from event where seq between $1 and $2 order by seq', [
      first,
      end,
    ]);
    const notes = await session.query('select size, note from checkpoint where size between $1 and $2', [first, end]);
    const bySize = new Map(notes.rows.map(({ size, note }) => [Number(size), String(note)]));
    for (const { seq, bytes } of events.rows) {
      const line: BundleLine = { seq: Number(seq), event: Buffer.from(bytesOf(bytes)).toString('base64') };
      await write(out, line);
      const checkpoint = bySize.get(Number(seq));
      if (checkpoint !== undefined) await write(out, { checkpoint } satisfies BundleLine);
    }
  }
  return last.size;
}

async function write(out: Writable, line: object): Promise<void> {
  if (!out.write(`${JSON.stringify(line)}\n`)) await once(out, 'drain');
}
