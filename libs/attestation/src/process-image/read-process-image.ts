import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ProcessImageFile, ProcessImageInvalidError } from './process-image-hash.js';

/** Code that runs; declarations, source maps, build state and compiled tests are not part of the image. */
function isMeasured(name: string): boolean {
  return name.endsWith('.js') && !name.endsWith('.test.js');
}

/**
 * Reads the measured files of a process image: every `*.js` below `folder` (the guest agent's `dist`) except tests.
 * A symbolic link is refused, because what it points at could change without changing the hash.
 * Throws ProcessImageInvalidError for a link or an empty folder, and the file system's error when it cannot be read.
 */
export async function readProcessImage(folder: string): Promise<ProcessImageFile[]> {
  const files: ProcessImageFile[] = [];
  await collect(folder, '', files);
  if (files.length === 0)
    throw new ProcessImageInvalidError(`${folder} holds no .js file; build the guest agent first`);
  return files;
}

async function collect(root: string, below: string, files: ProcessImageFile[]): Promise<void> {
  for (const entry of await readdir(join(root, below), { withFileTypes: true })) {
    const path = below === '' ? entry.name : `${below}/${entry.name}`;
    if (entry.isDirectory()) await collect(root, path, files);
    else if (isMeasured(entry.name)) {
      if (!entry.isFile()) throw new ProcessImageInvalidError(`${join(root, path)} is not a regular file`);
      files.push({ path, bytes: await readFile(join(root, path)) });
    }
  }
}
