import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EndpointFault } from '../collateral/collateral-unavailable-error.js';
import { type FetchDocument, fetchDocument } from '../collateral/fetch-document.js';
import { Refusal } from '../refusal.js';
import { type OsImageFiles, type OsImageSource, OsImageUnavailableError } from './os-image-source.js';
import { readImageArchive } from './read-image-archive.js';

export interface OsImageDownloaderOptions {
  /** URL with `{OS_IMAGE_HASH}` in it, `https:` unless on loopback. Default: dstack's. */
  readonly urlTemplate?: string;
  /** Keeps archives over restarts; they are verified whenever they are read. */
  readonly cacheFolder?: string;
  /** For one download; default 300 000. */
  readonly timeoutMs?: number;
  readonly fetchDocument?: FetchDocument;
}

/** A URL template was configured that cannot be used. Not retryable. */
export class InvalidImageUrlError extends Error {
  readonly code = 'OS_IMAGE_URL_INVALID';
  readonly retryable = false;
  constructor(message: string) {
    super(message);
    this.name = 'InvalidImageUrlError';
  }
}

const DSTACK_IMAGES = 'https://download.dstack.org/os-images/mr_{OS_IMAGE_HASH}.tar.gz';
const PLACEHOLDER = '{OS_IMAGE_HASH}';
const ARCHIVE_MAX_BYTES = 256 * 1024 * 1024;
/** Images are large: so many stay in memory, the rest is read again. */
const IMAGES_MAX = 2;

/**
 * Downloads the measured files of OS images. Nothing is trusted: an archive counts only when its checksum file hashes to
 * the os_image_hash asked for. Each image is downloaded once at a time.
 */
export class OsImageDownloader implements OsImageSource {
  private readonly template: string;
  private readonly images = new Map<string, OsImageFiles>();
  private readonly pending = new Map<string, Promise<OsImageFiles>>();

  /** @throws InvalidImageUrlError */
  constructor(private readonly options: OsImageDownloaderOptions = {}) {
    this.template = options.urlTemplate ?? DSTACK_IMAGES;
    const url = URL.canParse(this.template) ? new URL(this.template) : null;
    if (url === null || !this.template.includes(PLACEHOLDER)) {
      throw new InvalidImageUrlError(`"${this.template}" is not a URL with ${PLACEHOLDER} in it`);
    }
    const loopback = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname);
    if (url.protocol !== 'https:' && !(url.protocol === 'http:' && loopback)) {
      throw new InvalidImageUrlError(`${url.protocol}//${url.host}: use https (or http on this machine)`);
    }
  }

  /** @throws OsImageUnavailableError */
  async imageFor(osImageHash: string): Promise<OsImageFiles> {
    if (!/^[0-9a-f]{64}$/.test(osImageHash)) throw new RangeError('an OS image hash has 64 lower-case hex digits');
    const known = this.images.get(osImageHash);
    if (known !== undefined) return known;
    const running = this.pending.get(osImageHash) ?? this.load(osImageHash);
    this.pending.set(osImageHash, running);
    try {
      const image = await running;
      this.remember(osImageHash, image);
      return image;
    } finally {
      this.pending.delete(osImageHash);
    }
  }

  private remember(osImageHash: string, image: OsImageFiles): void {
    this.images.set(osImageHash, image);
    for (const oldest of this.images.keys()) {
      if (this.images.size <= IMAGES_MAX) break;
      this.images.delete(oldest);
    }
  }

  private async load(osImageHash: string): Promise<OsImageFiles> {
    const cached = await this.readCached(osImageHash);
    if (cached !== null) return cached;
    const archive = await this.download(osImageHash);
    try {
      const image = await readImageArchive(archive, osImageHash);
      await this.keep(osImageHash, archive);
      return image;
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      throw new OsImageUnavailableError(`what came for image ${osImageHash} is not it: ${error.message}`, true, {
        cause: error,
      });
    }
  }

  private async download(osImageHash: string): Promise<Uint8Array> {
    const url = new URL(this.template.replaceAll(PLACEHOLDER, osImageHash));
    const fetch = this.options.fetchDocument ?? fetchDocument;
    try {
      const timeoutMs = this.options.timeoutMs ?? 300_000;
      const { body } = await fetch(url, { timeoutMs, tlsRootsPem: undefined, maxBytes: ARCHIVE_MAX_BYTES });
      return body;
    } catch (error) {
      if (!(error instanceof EndpointFault)) throw error;
      const message = `${url.origin}${url.pathname} ${error.message} (${error.code})`;
      throw new OsImageUnavailableError(message, error.retryable, { cause: error });
    }
  }

  private archivePath(folder: string, osImageHash: string): string {
    return join(folder, `mr_${osImageHash}.tar.gz`);
  }

  /** What is missing, damaged or something else is as good as nothing. */
  private async readCached(osImageHash: string): Promise<OsImageFiles | null> {
    const { cacheFolder } = this.options;
    if (cacheFolder === undefined) return null;
    try {
      return await readImageArchive(await readFile(this.archivePath(cacheFolder, osImageHash)), osImageHash);
    } catch (error) {
      if (error instanceof Refusal || (error instanceof Error && 'syscall' in error)) return null;
      throw error;
    }
  }

  /** A cache that cannot be written costs a download next time, not the verification. */
  private async keep(osImageHash: string, archive: Uint8Array): Promise<void> {
    const { cacheFolder } = this.options;
    if (cacheFolder === undefined) return;
    const path = this.archivePath(cacheFolder, osImageHash);
    const temporary = `${path}.${process.pid}.${randomBytes(6).toString('hex')}.tmp`;
    try {
      await mkdir(cacheFolder, { recursive: true, mode: 0o700 });
      await writeFile(temporary, archive, { mode: 0o600, flag: 'wx' });
      await rename(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => undefined);
      if (!(error instanceof Error && 'syscall' in error)) throw error;
    }
  }
}
