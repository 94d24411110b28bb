import { projectEvent } from '@vouch/domain';
import type { StoredEvent } from '@vouch/eventstore';
import type { CompactRange, Hash, StoredNode } from '@vouch/transparency';
import { leafHash } from '@vouch/transparency';
import { inTransaction, type SqlSession } from '../database/sql-session.js';
import { insertEvents } from './event-copy.js';
import { IntegrityError } from './integrity-error.js';
import { insertNodes } from './merkle-store.js';
import { RowBatch } from './row-batch.js';

/** Name of the auditor's row in `projection`. */
const PROJECTION_NAME = 'audit';

/**
 * Writes a batch of consecutive events in one transaction: their bytes, their projected rows, the Merkle nodes they
 * complete, what `alongside` adds (a checkpoint), and the position, which must still be the one the batch follows. Either
 * all of it is there afterwards or none. `tree` is extended only after the commit, so it can be used again after a throw
 * once the caller has read the position back: a lost answer to `commit` leaves that open.
 */
export async function projectBatch(
  session: SqlSession,
  tree: CompactRange,
  events: readonly StoredEvent[],
  alongside: (grown: CompactRange) => Promise<void> = async () => undefined,
): Promise<CompactRange> {
  const first = events[0];
  if (first === undefined) return tree;
  const grown = tree.clone();
  const leaves: Hash[] = [];
  const nodes: StoredNode[] = [];
  for (const event of events) {
    if (event.seq !== grown.size + 1) {
      throw new IntegrityError('position-moved', `event ${event.seq} does not follow position ${grown.size}`);
    }
    const leaf = leafHash(event.bytes);
    leaves.push(leaf);
    nodes.push(...grown.append(leaf));
  }
  await inTransaction(session, async () => {
    await insertEvents(session, events, leaves);
    const changes = events.flatMap((event) => projectEvent(event));
    const rows = await RowBatch.load(session, changes);
    rows.apply(changes);
    await rows.flush(session);
    await insertNodes(session, nodes);
    await movePosition(session, tree.size, grown.size);
    await alongside(grown);
  });
  return grown;
}

async function movePosition(session: SqlSession, from: number, to: number): Promise<void> {
  const { affected } = await session.query('update projection set pos = $1 where name = $2 and pos = $3', [
    to,
    PROJECTION_NAME,
    from,
  ]);
  if (affected !== 1) {
    throw new IntegrityError('position-moved', `the stored position is no longer ${from}: another projector wrote`);
  }
}

/** The stored position: sequence of the last projected event, 0 at the start. */
export async function readPosition(session: SqlSession): Promise<number> {
  const { rows } = await session.query('select pos from projection where name = $1', [PROJECTION_NAME]);
  if (rows[0] === undefined) throw new IntegrityError('copy-incomplete', `projection ${PROJECTION_NAME} has no row`);
  return Number(rows[0].pos);
}
