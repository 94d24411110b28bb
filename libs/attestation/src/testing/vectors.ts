import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** Real quotes and logs; they are not part of the repository. */
const root = join(
  resolve(process.env.VOUCH_VECTORS ?? resolve(import.meta.dirname, '../../../../../shared/vectors')),
  'quotes',
);

/** False, and said so, where the files are not there. */
export const vectorsPresent = existsSync(join(root, 'corpus/eventlogs.json'));
if (!vectorsPresent) console.log(`skipped: no vectors at ${root}`);

/** True when this file of a further vector set is there as well. */
export function hasVector(path: string): boolean {
  return existsSync(join(root, path));
}

export function vectorBytes(path: string): Uint8Array {
  return new Uint8Array(readFileSync(join(root, path)));
}

export function vectorText(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}
