/**
 * The transparency log as pure functions: the Merkle tree of RFC 6962 / RFC 9162 (SHA-256), its proofs, checkpoints as
 * C2SP signed notes, and receipts ("this event is leaf i of the tree this checkpoint signs"). The invariant it keeps: a
 * root is a function of the leaves and their order alone, and everything that came from outside is either verified to
 * the last byte or refused by an exception; nothing here answers "false" to a caller that might forget to look.
 * No clock, no disk, no network: nodes are fetched by the caller.
 */
export {
  type Checkpoint,
  type CheckpointSigner,
  type CheckpointVerifier,
  openCheckpoint,
  signCheckpoint,
} from './checkpoint.js';
export { CompactRange } from './compact-range.js';
export { cosign, openCosignature, type Witness, type WitnessSigner } from './cosignature.js';
export { followLog, type SeenTree } from './follow-log.js';
export { EMPTY_ROOT, HASH_BYTES, type Hash, leafHash, nodeHash } from './hash.js';
export { MemoryTree } from './memory-tree.js';
export { type NodeId, nodeKey, type StoredNode } from './node-id.js';
export { consistencyProof, inclusionProof, type NodeReader } from './proof-plan.js';
export { type Receipt, type VerifiedReceipt, verifyReceipt } from './receipt.js';
export { receiptOf } from './receipt-of.js';
export {
  decodeTile,
  encodeEntries,
  encodeTile,
  entriesPath,
  MAX_BUNDLE_ENTRY_BYTES,
  nodesOfTile,
  parseTilePath,
  TILE_WIDTH,
  type TileId,
  tileFits,
  tilePath,
} from './tiles.js';
export { TransparencyError, type TransparencyErrorCode } from './transparency-error.js';
export {
  type ConsistencyClaim,
  type InclusionClaim,
  rootOfInclusion,
  verifyConsistency,
  verifyInclusion,
} from './verify-proof.js';
