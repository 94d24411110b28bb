import type { KeyObject } from 'node:crypto';
import { type CompactRange, signCheckpoint } from '@vouch/transparency';
import type { StoredCheckpoint } from './checkpoint-store.js';

/** The log's identity: origin line of its checkpoints and the Ed25519 key that signs them. */
export interface LogIdentity {
  readonly origin: string;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

/** Signs the tree as it stands. The result must be persisted before anyone sees it. */
export function signedCheckpoint(tree: CompactRange, identity: LogIdentity, now: Date): StoredCheckpoint {
  const root = tree.root();
  const note = signCheckpoint({ origin: identity.origin, size: tree.size, root, time: now }, identity);
  return { size: tree.size, root, note, signedAt: now };
}
