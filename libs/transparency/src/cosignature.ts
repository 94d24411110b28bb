import { createHash, type KeyObject, sign, verify } from 'node:crypto';
import { decodeBase64 } from './base64.js';
import { TransparencyError } from './transparency-error.js';

/**
 * Witness signatures as C2SP tlog-cosignature (cosignature/v1, Ed25519): a line in the checkpoint's note whose blob is
 * key id (4) || time, seconds since 1970, big-endian (8) || signature (64) over
 * "cosignature/v1\ntime <seconds>\n" and the note's text. It says: at that time this was the largest consistent
 * checkpoint of this origin the witness had seen.
 */
export interface Witness {
  /** Key name: no spaces, no plus. A URL without a scheme by convention. */
  readonly name: string;
  readonly publicKey: KeyObject;
}

export interface WitnessSigner extends Witness {
  readonly privateKey: KeyObject;
}

/** Signature type byte of a cosignature in the key id (C2SP signed-note). */
const COSIGNATURE_TYPE = 0x04;
const KEY_ID_BYTES = 4;
const TIME_BYTES = 8;
const SIGNATURE_BYTES = 64;

/** The note with the witness's line added. `note` was opened and found consistent before: this only signs. */
export function cosign(note: string, witness: WitnessSigner, time: Date): string {
  if (!/^[^\s+]{1,200}$/.test(witness.name)) throw new TypeError('a witness name has no spaces and no plus');
  const seconds = Math.floor(time.getTime() / 1000);
  const signature = sign(null, signedText(textOf(note), seconds), witness.privateKey);
  const stamp = Buffer.alloc(TIME_BYTES);
  stamp.writeBigUInt64BE(BigInt(seconds));
  const blob = Buffer.concat([keyId(witness), stamp, signature]);
  return `${note}\u2014 ${witness.name} ${blob.toString('base64')}\n`;
}

/** When the witness signed this note. Throws `cosignature-missing` or `cosignature-invalid`. */
export function openCosignature(note: string, witness: Witness): Date {
  const text = textOf(note);
  const wanted = keyId(witness);
  for (const line of note.slice(text.length + 1).split('\n')) {
    const parts = /^\u2014 (\S+) (\S+)$/.exec(line);
    const blob = decodeBase64(parts?.[2] ?? '');
    if (parts?.[1] !== witness.name || blob?.length !== KEY_ID_BYTES + TIME_BYTES + SIGNATURE_BYTES) continue;
    if (Buffer.compare(blob.subarray(0, KEY_ID_BYTES), wanted) !== 0) continue;
    const seconds = Number(Buffer.from(blob).readBigUInt64BE(KEY_ID_BYTES));
    const signature = blob.subarray(KEY_ID_BYTES + TIME_BYTES);
    if (Number.isSafeInteger(seconds) && verify(null, signedText(text, seconds), witness.publicKey, signature)) {
      return new Date(seconds * 1000);
    }
    throw new TransparencyError('cosignature-invalid', `the cosignature of ${witness.name} is not valid`);
  }
  throw new TransparencyError('cosignature-missing', `there is no cosignature of ${witness.name}`);
}

/** The note's text, with its last newline. */
function textOf(note: string): string {
  const end = note.lastIndexOf('\n\n');
  if (end < 0 || !note.endsWith('\n')) {
    throw new TransparencyError('checkpoint-malformed', 'checkpoint: there is no signature block');
  }
  return note.slice(0, end + 1);
}

function signedText(text: string, seconds: number): Buffer {
  return Buffer.from(`cosignature/v1\ntime ${seconds}\n${text}`, 'utf8');
}

function keyId({ name, publicKey }: Witness): Uint8Array {
  const { crv, x } = publicKey.export({ format: 'jwk' });
  if (crv !== 'Ed25519' || x === undefined) throw new TypeError('an Ed25519 key is required');
  const raw = Buffer.from(x, 'base64url');
  const digest = createHash('sha256').update(name).update(Uint8Array.of(0x0a, COSIGNATURE_TYPE)).update(raw).digest();
  return digest.subarray(0, KEY_ID_BYTES);
}
