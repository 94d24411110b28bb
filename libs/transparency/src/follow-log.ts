import { type Checkpoint, type CheckpointVerifier, openCheckpoint } from './checkpoint.js';
import { type Hash, sameHash } from './hash.js';
import { TransparencyError } from './transparency-error.js';
import { verifyConsistency } from './verify-proof.js';

/** What a witness remembers of one log: size and root of the last checkpoint it accepted. */
export type SeenTree = Pick<Checkpoint, 'size' | 'root'>;

/**
 * Takes the next checkpoint of a log only when its history extends the one already seen. `fetchProof` answers the
 * consistency proof between the two sizes. Throws `log-went-back` for a smaller tree, `history-rewritten` (naming both
 * sizes) when the same leaves no longer give the root that was seen, and what {@link openCheckpoint} throws.
 */
export async function followLog(
  seen: SeenTree | undefined,
  note: string,
  verifier: CheckpointVerifier,
  fetchProof: (from: number, to: number) => Promise<readonly Hash[]>,
): Promise<Checkpoint> {
  const next = openCheckpoint(note, verifier);
  if (seen === undefined) return next;
  if (next.size < seen.size) {
    throw new TransparencyError('log-went-back', `the log has ${next.size} events, ${seen.size} were seen before`);
  }
  if (next.size === seen.size) {
    if (!sameHash(next.root, seen.root)) throw rewritten(seen, next, 'its root is another one');
    return next;
  }
  const proof = await fetchProof(seen.size, next.size);
  try {
    verifyConsistency({ oldSize: seen.size, newSize: next.size, oldRoot: seen.root, newRoot: next.root, proof });
  } catch (error) {
    if (!(error instanceof TransparencyError)) throw error;
    throw rewritten(seen, next, error.message);
  }
  return next;
}

function rewritten(seen: SeenTree, next: Checkpoint, detail: string): TransparencyError {
  const message = `the first ${seen.size} events are no longer those that were seen (checkpoint of ${next.size}): ${detail}`;
  return new TransparencyError('history-rewritten', message);
}
