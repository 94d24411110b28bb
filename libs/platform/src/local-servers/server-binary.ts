import { execFile } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { LocalServerError } from './errors.js';

const run = promisify(execFile);

export interface ServerBinary {
  readonly path: string;
  /** "major.minor.patch". */
  readonly version: string;
}

/** VOUCH_CACHE_DIR, else `.cache/servers` of the workspace: where downloaded server programs are kept between runs. */
export function defaultCacheDir(): string {
  return process.env.VOUCH_CACHE_DIR ?? fileURLToPath(new URL('../../../../.cache/servers', import.meta.url));
}

/** Absolute path of an executable on PATH, or undefined. */
export async function findOnPath(name: string): Promise<string | undefined> {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
  for (const folder of folders.filter((entry) => entry !== '')) {
    const path = join(folder, name);
    if (await isExecutable(path)) return path;
  }
  return undefined;
}

export async function isExecutable(path: string): Promise<boolean> {
  return await access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

/** First `x.y.z` in what the program prints for `--version`. Throws LocalServerError `start-failed`. */
export async function versionOf(path: string, env: NodeJS.ProcessEnv = {}): Promise<string> {
  try {
    const { stdout, stderr } = await run(path, ['--version'], {
      timeout: 10_000,
      env: { PATH: process.env.PATH, ...env },
    });
    const version = /(\d+\.\d+\.\d+)/.exec(stdout + stderr)?.[1];
    if (version === undefined) throw new Error(`it printed no version: ${stdout.slice(0, 200)}`);
    return version;
  } catch (cause) {
    throw new LocalServerError('start-failed', `${path} --version failed: ${(cause as Error).message}`, false, {
      cause,
    });
  }
}

/** True when `version` (x.y.z) is at least `floor`. */
export function isAtLeast(version: string, floor: string): boolean {
  const have = version.split('.').map(Number);
  const want = floor.split('.').map(Number);
  for (let index = 0; index < 3; index += 1) {
    const difference = (have[index] ?? 0) - (want[index] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}
