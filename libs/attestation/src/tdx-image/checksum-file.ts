import { equalBytes, fromHex, hashBytes, toHex } from '../bytes.js';
import { Refusal } from '../refusal.js';

const MAX_FILE_BYTES = 64 * 1024;
const MAX_ENTRIES = 256;

/** SHA-256 of the exact bytes of an image's `sha256sum.txt`, 32 bytes: its os_image_hash. */
export function osImageHash(checksumFile: Uint8Array): Uint8Array {
  return hashBytes('sha256', checksumFile);
}

/** Name of an image's TDX measurement in its `sha256sum.txt`. */
export const TDX_MEASUREMENT_FILE = 'measurement.tdx.cbor';

/**
 * Binds one file of an image to its os_image_hash: the checksum file hashes to it and lists the file exactly once, with its
 * SHA-256.
 * @throws Refusal `OS_IMAGE_HASH`, `CHECKSUM_FILE`
 */
export function bindImageFile(
  image: { readonly osImageHash: Uint8Array; readonly checksumFile: Uint8Array },
  name: string,
  content: Uint8Array,
): void {
  const hash = osImageHash(image.checksumFile);
  if (!equalBytes(hash, image.osImageHash)) {
    throw new Refusal(
      'OS_IMAGE_HASH',
      `sha256sum.txt hashes to ${toHex(hash)}, the OS image hash is ${toHex(image.osImageHash)}`,
    );
  }
  const listed = readChecksumFile(image.checksumFile).filter((entry) => entry.name === name);
  const [entry] = listed;
  if (entry === undefined || listed.length > 1) {
    throw new Refusal('CHECKSUM_FILE', `sha256sum.txt lists ${name} ${listed.length} times, not once`);
  }
  if (!equalBytes(hashBytes('sha256', content), entry.sha256)) {
    throw new Refusal('CHECKSUM_FILE', `${name} is not the file that sha256sum.txt lists`);
  }
}

/** Lines of `sha256sum`: hash, white space, name. @throws Refusal `CHECKSUM_FILE` */
export function readChecksumFile(bytes: Uint8Array): readonly { readonly name: string; readonly sha256: Uint8Array }[] {
  if (bytes.length > MAX_FILE_BYTES) {
    throw new Refusal('CHECKSUM_FILE', `sha256sum.txt has more than ${MAX_FILE_BYTES} bytes`);
  }
  const lines = Buffer.from(bytes)
    .toString('utf8')
    .split('\n')
    .filter((line) => line.trim() !== '');
  if (lines.length > MAX_ENTRIES)
    throw new Refusal('CHECKSUM_FILE', `sha256sum.txt has more than ${MAX_ENTRIES} lines`);
  return lines.map((line, at) => {
    const [hash = '', name = ''] = line.trim().split(/\s+/);
    const sha256 = fromHex(hash, 32);
    if (sha256 === undefined || name === '') {
      throw new Refusal('CHECKSUM_FILE', `line ${at + 1} of sha256sum.txt is not a hash and a name`);
    }
    return { name, sha256 };
  });
}
