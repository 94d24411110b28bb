import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { PolicyUnavailableError } from '../policy-unavailable-error.js';
import { type PolicyFile, parsePolicyFile } from './policy-file.js';

/** A policy file as it lay on the disk. */
export interface StoredPolicyFile {
  readonly policy: PolicyFile;
  /** SHA-256 of its bytes, hex. */
  readonly digest: string;
  readonly modifiedAt: Date;
}

const MAX_BYTES = 8 * 1024 * 1024;
const WRITABLE_BY_OTHERS = 0o002;

/**
 * Reads a policy file, anew each time: what is on the disk is what counts. Throws PolicyUnavailableError, which names file
 * and reason, for a file that is missing, unreadable, too large, changed while it was read, writable by everyone, or no
 * policy: then there is no decision.
 */
export async function readPolicyFile(path: string): Promise<StoredPolicyFile> {
  const unavailable = (reason: string, cause?: unknown) =>
    new PolicyUnavailableError(`policy file ${path}: ${reason}`, cause === undefined ? {} : { cause });
  let bytes: Uint8Array;
  let modifiedAt: Date;
  try {
    const file = await open(path, 'r');
    try {
      ({ bytes, modifiedAt } = await readWhole(file));
    } finally {
      await file.close();
    }
  } catch (cause) {
    if (cause instanceof UnfitFileError) throw unavailable(cause.message);
    throw unavailable(`cannot be read (${(cause as NodeJS.ErrnoException).code ?? (cause as Error).message})`, cause);
  }
  const content = decode(bytes);
  if (content === undefined) throw unavailable('it is not UTF-8');
  const reading = parsePolicyFile(content);
  if (!reading.ok) throw unavailable(reading.reason);
  return { policy: reading.policy, digest: createHash('sha256').update(bytes).digest('hex'), modifiedAt };
}

class UnfitFileError extends Error {}

async function readWhole(file: FileHandle): Promise<{ bytes: Uint8Array; modifiedAt: Date }> {
  const before = await file.stat();
  if (!before.isFile()) throw new UnfitFileError('is not a regular file');
  if (before.size > MAX_BYTES) throw new UnfitFileError(`is larger than ${MAX_BYTES} bytes`);
  if ((before.mode & WRITABLE_BY_OTHERS) !== 0) throw new UnfitFileError('can be written by everyone: run chmod o-w');
  const bytes = await file.readFile();
  const after = await file.stat();
  if (after.mtimeMs !== before.mtimeMs || after.size !== bytes.length)
    throw new UnfitFileError('changed while it was read');
  return { bytes, modifiedAt: before.mtime };
}

function decode(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
