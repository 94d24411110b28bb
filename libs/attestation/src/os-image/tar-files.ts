import { Refusal } from '../refusal.js';

/** Fields of a tar header (POSIX ustar), offsets in the 512-byte block. */
const HEADER = {
  bytes: 512,
  name: [0, 100],
  size: [124, 136],
  type: 156,
} as const;
const FILE_TYPES: ReadonlySet<string> = new Set(['0', '\0']);
/** Directories and extended headers carry no file content of ours. */
const PASSED_OVER: ReadonlySet<string> = new Set(['5', 'x', 'g']);
const ENTRIES_MAX = 1024;
const CODE = 'OS_IMAGE_ARCHIVE';

/**
 * The files at the top of a tar archive, by name, as views of it. Links and devices are refused, files in folders are
 * passed over, a name that stands twice is refused.
 * @throws Refusal `OS_IMAGE_ARCHIVE`
 */
export function tarFiles(archive: Uint8Array): ReadonlyMap<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  let at = 0;
  for (let entries = 0; at + HEADER.bytes <= archive.length; entries += 1) {
    const header = archive.subarray(at, at + HEADER.bytes);
    if (header.every((byte) => byte === 0)) break;
    if (entries >= ENTRIES_MAX) throw new Refusal(CODE, `the archive has more than ${ENTRIES_MAX} entries`);
    const name = text(header, ...HEADER.name).replace(/^\.\//, '');
    const sizeBytes = octal(text(header, ...HEADER.size), name);
    const type = String.fromCharCode(header[HEADER.type] ?? 0);
    const start = at + HEADER.bytes;
    if (sizeBytes > archive.length - start) throw new Refusal(CODE, `${name} is cut off`);
    if (FILE_TYPES.has(type)) addFile(files, name, archive.subarray(start, start + sizeBytes));
    else if (!PASSED_OVER.has(type))
      throw new Refusal(CODE, `${name} is a link or device (type ${JSON.stringify(type)})`);
    at = start + Math.ceil(sizeBytes / HEADER.bytes) * HEADER.bytes;
  }
  return files;
}

function addFile(files: Map<string, Uint8Array>, name: string, content: Uint8Array): void {
  if (name.includes('/')) return;
  if (files.has(name)) throw new Refusal(CODE, `${name} stands twice in the archive`);
  files.set(name, content);
}

function text(header: Uint8Array, from: number, to: number): string {
  const field = Buffer.from(header.subarray(from, to)).toString('latin1');
  const end = field.indexOf('\0');
  return end < 0 ? field : field.slice(0, end);
}

function octal(field: string, name: string): number {
  const digits = field.trim();
  if (!/^[0-7]{1,11}$/.test(digits)) throw new Refusal(CODE, `${name} has no size`);
  return Number.parseInt(digits, 8);
}
