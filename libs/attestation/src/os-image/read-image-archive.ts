import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { fromHex, toHex } from '../bytes.js';
import { type JsonReader, readJson } from '../json-reader.js';
import { Refusal } from '../refusal.js';
import { bindImageFile, osImageHash as hashOfImage, readChecksumFile } from '../tdx-image/checksum-file.js';
import type { OsImageFiles } from './os-image-source.js';
import { tarFiles } from './tar-files.js';

const unzip = promisify(gunzip);
const UNPACKED_MAX_BYTES = 512 * 1024 * 1024;
const CHECKSUM_FILE = 'sha256sum.txt';
const METADATA_FILE = 'metadata.json';
const CODE = 'OS_IMAGE_ARCHIVE';

/**
 * Reads `mr_<os_image_hash>.tar.gz` (dstack-kms §14): sha256sum.txt must hash to the image's hash, and every file it lists
 * must be there with its hash; nothing else of the archive is looked at. metadata.json, which must be listed, names the
 * firmware, kernel and initrd and holds the command line.
 * @throws Refusal `OS_IMAGE_ARCHIVE`, `OS_IMAGE_HASH`, `CHECKSUM_FILE`
 */
export async function readImageArchive(archive: Uint8Array, osImageHash: string): Promise<OsImageFiles> {
  const files = tarFiles(await unpack(archive));
  const hash = fromHex(osImageHash, 32);
  if (hash === undefined) throw new RangeError('an OS image hash has 64 hex digits');
  const checksumFile = files.get(CHECKSUM_FILE);
  if (checksumFile === undefined) throw new Refusal(CODE, `the archive has no ${CHECKSUM_FILE}`);
  const found = toHex(hashOfImage(checksumFile));
  if (found !== osImageHash) {
    throw new Refusal('OS_IMAGE_HASH', `${CHECKSUM_FILE} hashes to ${found}, the OS image hash is ${osImageHash}`);
  }
  const image = { osImageHash: hash, checksumFile };
  const listed = new Map<string, Uint8Array>();
  for (const { name } of readChecksumFile(checksumFile)) {
    const content = files.get(name);
    if (content === undefined) throw new Refusal(CODE, `the archive lacks ${name}, which ${CHECKSUM_FILE} lists`);
    bindImageFile(image, name, content);
    listed.set(name, content);
  }
  const metadata = readJson(Buffer.from(fileOf(listed, METADATA_FILE)).toString('utf8'), METADATA_FILE, CODE);
  return {
    image: {
      firmware: fileOf(listed, metadata.member('bios').string()),
      kernel: fileOf(listed, metadata.member('kernel').string()),
      initrd: fileOf(listed, metadata.member('initrd').string()),
      commandLine: metadata.member('cmdline').string(),
    },
    version: present(metadata, 'version')?.string() ?? null,
    isDev: present(metadata, 'is_dev')?.isTrue ?? null,
  };
}

async function unpack(archive: Uint8Array): Promise<Uint8Array> {
  try {
    return await unzip(archive, { maxOutputLength: UNPACKED_MAX_BYTES });
  } catch (error) {
    throw new Refusal(CODE, `the archive cannot be unpacked: ${(error as Error).message}`);
  }
}

/** What metadata names counts only when the checksum file lists it. */
function fileOf(listed: ReadonlyMap<string, Uint8Array>, name: string): Uint8Array {
  const content = listed.get(name);
  if (content === undefined) throw new Refusal(CODE, `${CHECKSUM_FILE} does not list ${name}`);
  return content;
}

function present(json: JsonReader, name: string): JsonReader | undefined {
  const member = json.optional(name);
  return member === undefined || member.isNull ? undefined : member;
}
