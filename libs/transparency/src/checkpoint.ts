import { createHash, type KeyObject, sign, verify } from 'node:crypto';
import { decodeBase64, encodeBase64 } from './base64.js';
import { HASH_BYTES, type Hash } from './hash.js';
import { TransparencyError } from './transparency-error.js';

/**
 * A signed tree head as a C2SP tlog-checkpoint in a C2SP signed-note. Text of the note, then an empty line, then one
 * signature line per signer:
 *
 *     <origin>\n<size, decimal>\n<root, base64>\n[<time, RFC 3339>\n]\n— <key name> <base64(key hash(4) || signature(64))>\n
 *
 * The key name is the origin. Lines of other signers (witnesses) are allowed and ignored.
 */
export interface Checkpoint {
  readonly origin: string;
  /** Number of leaves. */
  readonly size: number;
  /** Merkle tree hash of these leaves, 32 bytes. */
  readonly root: Hash;
  /** When the log signed, or null when the checkpoint has no extension line. */
  readonly time: Date | null;
}

/** Who signs: an Ed25519 private key, under the name of the checkpoint's origin. */
export interface CheckpointSigner {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

/** Whose checkpoints are taken: exactly this origin, signed by exactly this Ed25519 key. */
export interface CheckpointVerifier {
  readonly origin: string;
  readonly publicKey: KeyObject;
}

/** Signature type byte of Ed25519 in the key hash (C2SP signed-note). */
const ED25519_TYPE = 0x01;
const KEY_HASH_BYTES = 4;
const SIGNATURE_BYTES = 64;
const SIGNATURE_LINE = /^\u2014 (\S+) (\S+)$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const MAX_NOTE_CHARS = 16 * 1024;
const MAX_SIGNATURES = 16;

/** Signs `checkpoint` and returns the note's text. Throws `checkpoint-malformed` for an unusable origin or root. */
export function signCheckpoint(checkpoint: Checkpoint, signer: CheckpointSigner): string {
  const text = checkpointText(checkpoint);
  const signature = sign(null, Buffer.from(text, 'utf8'), signer.privateKey);
  const blob = Buffer.concat([keyHash(checkpoint.origin, signer.publicKey), signature]);
  return `${text}\n\u2014 ${checkpoint.origin} ${blob.toString('base64')}\n`;
}

/** Parses a note and verifies the signature of `verifier` on it. Throws TransparencyError; never returns unverified. */
export function openCheckpoint(note: string, verifier: CheckpointVerifier): Checkpoint {
  if (note.length > MAX_NOTE_CHARS) throw malformed('the note is too long');
  const end = note.lastIndexOf('\n\n');
  if (end < 0 || !note.endsWith('\n')) throw malformed('there is no signature block');
  const text = note.slice(0, end + 1);
  const lines = note.slice(end + 2, -1).split('\n');
  if (lines.length > MAX_SIGNATURES) throw malformed('there are too many signatures');
  const checkpoint = parseText(text);
  if (checkpoint.origin !== verifier.origin) {
    throw new TransparencyError('checkpoint-origin-mismatch', `the checkpoint is of ${checkpoint.origin}`);
  }
  const wanted = keyHash(verifier.origin, verifier.publicKey);
  let verified = false;
  for (const line of lines) {
    const signature = signatureOf(line, verifier.origin, wanted);
    if (signature === undefined) continue;
    if (!verify(null, Buffer.from(text, 'utf8'), verifier.publicKey, signature)) {
      throw new TransparencyError('checkpoint-signature-invalid', `the signature of ${verifier.origin} is not valid`);
    }
    verified = true;
  }
  if (!verified) {
    throw new TransparencyError('checkpoint-signature-missing', `no signature by the known key of ${verifier.origin}`);
  }
  return checkpoint;
}

/** The 64 signature bytes when the line is by the wanted name and key, undefined when it is somebody else's. */
function signatureOf(line: string, name: string, wanted: Uint8Array): Uint8Array | undefined {
  const parts = SIGNATURE_LINE.exec(line);
  const blob = decodeBase64(parts?.[2] ?? '');
  if (parts === null || blob === undefined || blob.length <= KEY_HASH_BYTES)
    throw malformed('a signature line is broken');
  if (parts[1] !== name || Buffer.compare(blob.subarray(0, KEY_HASH_BYTES), wanted) !== 0) return undefined;
  if (blob.length !== KEY_HASH_BYTES + SIGNATURE_BYTES) throw malformed('the signature has a wrong length');
  return blob.subarray(KEY_HASH_BYTES);
}

function checkpointText({ origin, size, root, time }: Checkpoint): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a note's text holds no control characters but newline
  if (!/^[^\s+\u0000-\u001f\u007f]{1,200}$/.test(origin)) throw malformed('an origin has no spaces, plus or controls');
  if (!Number.isSafeInteger(size) || size < 0) throw malformed(`size ${size} is not a leaf count`);
  if (root.length !== HASH_BYTES) throw malformed(`a root has ${HASH_BYTES} bytes, not ${root.length}`);
  return `${origin}\n${size}\n${encodeBase64(root)}\n${time === null ? '' : `${time.toISOString()}\n`}`;
}

function parseText(text: string): Checkpoint {
  const [origin, sizeText, rootText, timeText, ...rest] = text.slice(0, -1).split('\n');
  if (origin === undefined || sizeText === undefined || rootText === undefined || rest.length > 0) {
    throw malformed('a checkpoint has three lines and one optional time');
  }
  if (!/^(0|[1-9]\d{0,15})$/.test(sizeText)) throw malformed('the size is not a decimal number');
  const root = decodeBase64(rootText);
  if (root?.length !== HASH_BYTES) throw malformed('the root is not a SHA-256 in base64');
  if (timeText !== undefined && !TIME.test(timeText)) throw malformed('the time is not RFC 3339 UTC with milliseconds');
  const time = timeText === undefined ? null : new Date(timeText);
  if (time !== null && Number.isNaN(time.getTime())) throw malformed('the time does not exist');
  const checkpoint = { origin, size: Number(sizeText), root, time };
  if (checkpointText(checkpoint) !== text) throw malformed('the text is not in its one form');
  return checkpoint;
}

/** SHA-256(key name || 0x0A || 0x01 || raw public key)[0..4] (C2SP signed-note). */
function keyHash(name: string, publicKey: KeyObject): Uint8Array {
  const jwk = publicKey.export({ format: 'jwk' });
  if (jwk.crv !== 'Ed25519' || jwk.x === undefined) throw new TypeError('an Ed25519 key is required');
  const raw = Buffer.from(jwk.x, 'base64url');
  const digest = createHash('sha256').update(name).update(Uint8Array.of(0x0a, ED25519_TYPE)).update(raw).digest();
  return digest.subarray(0, KEY_HASH_BYTES);
}

function malformed(detail: string): TransparencyError {
  return new TransparencyError('checkpoint-malformed', `checkpoint: ${detail}`);
}
