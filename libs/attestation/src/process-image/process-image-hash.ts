import { createHash } from 'node:crypto';

/** One measured file. `path` is relative to the image's folder, with "/" between parts. */
export interface ProcessImageFile {
  readonly path: string;
  readonly bytes: Uint8Array;
}

/** A set of files that cannot be an image. `code` is stable; a retry with the same files cannot help. */
export class ProcessImageInvalidError extends Error {
  readonly code = 'process-image-invalid';
  readonly retryable = false;
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ProcessImageInvalidError';
  }
}

/** Relative, no empty, "." or ".." part, and nothing that could break a line of the checksum file. */
const SAFE_PATH = /^(?!\.{1,2}(?:\/|$))[A-Za-z0-9._@+-]+(?:\/(?!\.{1,2}(?:\/|$))[A-Za-z0-9._@+-]+)*$/;

/**
 * Text of the image's `sha256sum.txt`: one line `<sha256 hex>  <path>\n` per file, sorted by path in code unit order.
 * Throws ProcessImageInvalidError for no files, an unsafe path or a path that occurs twice.
 */
export function processImageChecksums(files: readonly ProcessImageFile[]): string {
  if (files.length === 0) throw new ProcessImageInvalidError('a process image needs at least one file');
  const sorted = [...files].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  return sorted
    .map(({ path, bytes }, index) => {
      if (!SAFE_PATH.test(path)) throw new ProcessImageInvalidError(`path ${JSON.stringify(path)} is not allowed`);
      if (sorted[index - 1]?.path === path) throw new ProcessImageInvalidError(`path ${path} occurs twice`);
      return `${createHash('sha256').update(bytes).digest('hex')}  ${path}\n`;
    })
    .join('');
}

/**
 * os_image_hash of a process image: SHA-256 of its `sha256sum.txt`, 64 lower-case hex digits, the same rule dstack uses
 * for its OS images (dstack-kms §14). Throws as {@link processImageChecksums}.
 */
export function processImageHash(files: readonly ProcessImageFile[]): string {
  return createHash('sha256').update(processImageChecksums(files), 'utf8').digest('hex');
}
