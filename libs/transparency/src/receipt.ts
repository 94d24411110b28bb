import { decodeBase64 } from './base64.js';
import { type Checkpoint, type CheckpointVerifier, openCheckpoint } from './checkpoint.js';
import { type Hash, leafHash } from './hash.js';
import { TransparencyError } from './transparency-error.js';
import { verifyInclusion } from './verify-proof.js';

/**
 * Offline proof that one event is in the log: its exact bytes, its place, the audit path and the signed checkpoint the
 * path leads to. It needs no server to check, only the log's origin and public key.
 */
export interface Receipt {
  readonly version: 1;
  /** Stream sequence, from 1. */
  readonly seq: number;
  /** Leaf index, seq - 1. */
  readonly index: number;
  /** The event's stored bytes, base64. */
  readonly event: string;
  /** Audit path, lowest sibling first, each 32 bytes in base64. */
  readonly path: readonly string[];
  /** Signed note (see Checkpoint). */
  readonly checkpoint: string;
}

export interface VerifiedReceipt {
  readonly seq: number;
  /** The event's stored bytes, proven to be in the log. Whoever uses them still verifies the author's signature. */
  readonly event: Uint8Array;
  readonly checkpoint: Checkpoint;
}

const MEMBERS = ['version', 'seq', 'index', 'event', 'path', 'checkpoint'] as const;
/** Depth of a tree of 2^53 leaves, the largest there can be. */
const MAX_PATH = 53;

/**
 * Verifies a receipt that came from anywhere (`receipt` may be any JSON value): strict form, checkpoint signature, then
 * the path from the event's bytes to the signed root. Throws TransparencyError; never returns unverified bytes.
 */
export function verifyReceipt(receipt: unknown, verifier: CheckpointVerifier): VerifiedReceipt {
  const { seq, index, event, path, checkpoint: note } = parseReceipt(receipt);
  const checkpoint = openCheckpoint(note, verifier);
  verifyInclusion({ index, size: checkpoint.size, leaf: leafHash(event), path, root: checkpoint.root });
  return { seq, event, checkpoint };
}

interface ParsedReceipt {
  readonly seq: number;
  readonly index: number;
  readonly event: Uint8Array;
  readonly path: Hash[];
  readonly checkpoint: string;
}

function parseReceipt(value: unknown): ParsedReceipt {
  if (typeof value !== 'object' || value === null) throw malformed('not an object');
  const fields = value as Record<string, unknown>;
  const names = Object.keys(fields);
  if (names.length !== MEMBERS.length || !MEMBERS.every((name) => Object.hasOwn(fields, name))) {
    throw malformed(`the members are ${MEMBERS.join(', ')}`);
  }
  const { version, seq, index, event: eventText, path: pathTexts, checkpoint } = fields;
  if (version !== 1) throw malformed('the version is not 1');
  if (typeof seq !== 'number' || !Number.isSafeInteger(seq) || seq < 1) throw malformed('seq is not a sequence');
  if (index !== seq - 1) throw malformed('index is not seq - 1');
  if (typeof checkpoint !== 'string') throw malformed('checkpoint is not a text');
  if (!Array.isArray(pathTexts) || pathTexts.length > MAX_PATH) throw malformed('path is not an audit path');
  return {
    seq,
    index: seq - 1,
    event: bytesOf(eventText, 'event'),
    path: pathTexts.map((text: unknown) => bytesOf(text, 'path')),
    checkpoint,
  };
}

function bytesOf(value: unknown, name: string): Uint8Array {
  const bytes = typeof value === 'string' ? decodeBase64(value) : undefined;
  if (bytes === undefined || bytes.length === 0) throw malformed(`${name} is not base64`);
  return bytes;
}

function malformed(detail: string): TransparencyError {
  return new TransparencyError('receipt-malformed', `receipt: ${detail}`);
}
