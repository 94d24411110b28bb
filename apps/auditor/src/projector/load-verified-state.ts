import { type CompactRange, openCheckpoint } from '@vouch/transparency';
import type { SqlSession } from '../database/sql-session.js';
import { latestCheckpoint, type StoredCheckpoint } from './checkpoint-store.js';
import { IntegrityError } from './integrity-error.js';
import type { LogIdentity } from './log-signer.js';
import { bytesOf, loadRange } from './merkle-store.js';
import { readPosition } from './project-batch.js';

/** Where a projector continues: the tree over everything projected, and what was last signed. */
export interface ProjectorState {
  readonly tree: CompactRange;
  readonly checkpoint: StoredCheckpoint | undefined;
  /** Copy of the event at the position, to be compared with the log's; undefined at position 0. */
  readonly lastBytes: Uint8Array | undefined;
}

/**
 * Reads the state back and checks what is cheap to check at every start: the copy reaches exactly to the position, and
 * the last checkpoint is ours and signs a tree of which the stored one is an extension. Throws IntegrityError.
 */
export async function loadVerifiedState(session: SqlSession, identity: LogIdentity): Promise<ProjectorState> {
  const position = await readPosition(session);
  const { rows } = await session.query('select seq, bytes from event order by seq desc limit 1');
  const lastSeq = Number(rows[0]?.seq ?? 0);
  if (lastSeq !== position) {
    throw new IntegrityError('copy-incomplete', `the position is ${position}, but the copied events end at ${lastSeq}`);
  }
  const tree = await loadRange(session, position);
  const checkpoint = await latestCheckpoint(session);
  if (checkpoint !== undefined) await assertExtends(session, checkpoint, position, identity);
  return { tree, checkpoint, lastBytes: rows[0] === undefined ? undefined : bytesOf(rows[0].bytes) };
}

async function assertExtends(
  session: SqlSession,
  checkpoint: StoredCheckpoint,
  position: number,
  identity: LogIdentity,
): Promise<void> {
  const signed = openCheckpoint(checkpoint.note, identity);
  if (signed.size > position) {
    throw new IntegrityError(
      'copy-incomplete',
      `${signed.size} events are signed for, but only ${position} are copied`,
    );
  }
  const root = (await loadRange(session, signed.size)).root();
  if (Buffer.compare(root, signed.root) !== 0) {
    throw new IntegrityError('tree-differs', `the stored tree of ${signed.size} does not have the signed root`);
  }
}
