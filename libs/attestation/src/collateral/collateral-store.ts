import { randomBytes } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { readJson } from '../json-reader.js';
import { Refusal } from '../refusal.js';
import type { Platform } from './platform.js';
import type { QuoteCollateralV3 } from './quote-collateral.js';
import { readCollateral } from './read-collateral.js';

/** What one file of the store says. None of it is trusted: whoever may write the folder may write anything. */
export interface StoredCollateral {
  readonly collateral: QuoteCollateralV3;
  readonly fetchedAt: Date;
}

const FILE = /^(sgx|tdx)-[0-9a-f]{12}-(platform|processor)\.json$/;
const TEMPORARY = /\.tmp$/;
const FILES_MAX = 256;
const FILE_MAX_BYTES = 4 * 1024 * 1024;
const TEMPORARY_MAX_AGE_MS = 3_600_000;
const CODE = 'COLLATERAL_STORE';

/**
 * Keeps collateral on disk, one file per platform, written to the side and renamed, so that a reader sees the old or the
 * new one. Bounded in files and bytes. Damaged files are passed over: all of this can be fetched again.
 */
export class CollateralStore {
  constructor(private readonly folder: string) {}

  /** Everything readable, newest files first, at most 256. @throws the file system's error when the folder cannot be read */
  async load(): Promise<readonly StoredCollateral[]> {
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    await this.removeLeftovers();
    const found: StoredCollateral[] = [];
    for (const { path, sizeBytes } of (await this.files()).slice(0, FILES_MAX)) {
      const stored = sizeBytes > FILE_MAX_BYTES ? undefined : await readStored(path);
      if (stored !== undefined) found.push(stored);
    }
    return found;
  }

  /** @throws the file system's error */
  async save(platform: Platform, stored: StoredCollateral): Promise<void> {
    const path = join(this.folder, `${platform.tee}-${platform.fmspc}-${platform.ca}.json`);
    const temporary = `${path}.${process.pid}.${randomBytes(6).toString('hex')}.tmp`;
    const { collateral, fetchedAt } = stored;
    try {
      const file = await open(temporary, 'wx', 0o600);
      try {
        await file.writeFile(JSON.stringify({ version: 1, fetchedAt: fetchedAt.toISOString(), collateral }));
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => undefined);
      throw error;
    }
    for (const { path: oldest } of (await this.files()).slice(FILES_MAX)) await rm(oldest, { force: true });
  }

  private async files(): Promise<readonly { path: string; sizeBytes: number; changedMs: number }[]> {
    const names = (await readdir(this.folder)).filter((name) => FILE.test(name));
    const files = await Promise.all(
      names.map(async (name) => {
        const path = join(this.folder, name);
        const about = await stat(path).catch(() => null);
        return about?.isFile() ? [{ path, sizeBytes: about.size, changedMs: about.mtimeMs }] : [];
      }),
    );
    return files.flat().toSorted((a, b) => b.changedMs - a.changedMs);
  }

  /** What a killed writer left behind. */
  private async removeLeftovers(): Promise<void> {
    for (const name of (await readdir(this.folder)).filter((entry) => TEMPORARY.test(entry))) {
      const path = join(this.folder, name);
      const about = await stat(path).catch(() => null);
      if (about !== null && Date.now() - about.mtimeMs > TEMPORARY_MAX_AGE_MS) await rm(path, { force: true });
    }
  }
}

async function readStored(path: string): Promise<StoredCollateral | undefined> {
  try {
    const root = readJson(await readFile(path, 'utf8'), 'stored collateral', CODE);
    root.member('version').integer(1, 1);
    const fetchedAt = root.member('fetchedAt').time();
    return { collateral: readCollateral(root.member('collateral')), fetchedAt };
  } catch (error) {
    if (error instanceof Refusal || isSystemError(error)) return undefined;
    throw error;
  }
}

function isSystemError(error: unknown): boolean {
  return error instanceof Error && 'syscall' in error;
}
