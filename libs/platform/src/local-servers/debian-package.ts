import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type DebianSource, mainArchive, parseDeb822Sources, parseOneLineSources } from './debian-source.js';
import { LocalServerError } from './errors.js';
import { withFolderLock } from './folder-lock.js';
import type { Progress } from './local-server.js';

const run = promisify(execFile);
const DEBIAN_KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';
const DOWNLOAD_DEADLINE_MS = 180_000;

/** A Debian package to unpack into a cache folder, without root and without touching the system. */
export interface PackageWish {
  readonly packages: readonly string[];
  /** Suite to ask; undefined: the machine's own. */
  readonly suite: string | undefined;
  /** Command an operator can run instead, for the error. */
  readonly remedy: string;
}

/**
 * Folder with the unpacked packages, downloaded on first use through apt with its own lists and status, so signatures
 * are checked against the Debian archive keyring as always. Safe to call from several processes. Throws LocalServerError
 * (`download-failed`) with the remedy, on systems that are not Debian too.
 */
export async function unpackDebianPackage(wish: PackageWish, cacheDir: string, onProgress?: Progress): Promise<string> {
  const codename = await debianCodename(wish);
  const suite = wish.suite ?? codename;
  const target = join(cacheDir, `${wish.packages[0]}-${suite}`);
  await mkdir(cacheDir, { recursive: true });
  return await withFolderLock(`${target}.lock`, async () => {
    if (await isFolder(target)) return target;
    const source = await machineSource(codename, wish);
    onProgress?.(`downloading ${wish.packages[0]} from Debian ${suite} (${new URL(source.uri).host})`);
    const work = await mkdtemp(join(cacheDir, 'download-'));
    try {
      await fetchAndUnpack(work, source, suite, wish);
      await rename(join(work, 'root'), target);
    } catch (cause) {
      const detail = (cause as { stderr?: string }).stderr?.trim() ?? (cause as Error).message;
      throw new LocalServerError(
        'download-failed',
        `${wish.packages[0]} could not be downloaded: ${detail}. ${wish.remedy}`,
        true,
        { cause },
      );
    } finally {
      await rm(work, { recursive: true, force: true });
    }
    return target;
  });
}

async function fetchAndUnpack(work: string, source: DebianSource, suite: string, wish: PackageWish): Promise<void> {
  const etc = join(work, 'etc');
  for (const folder of [etc, join(work, 'lists/partial'), join(work, 'cache/archives/partial')]) {
    await mkdir(folder, { recursive: true });
  }
  await writeFile(join(work, 'status'), '');
  const signedBy = source.signedBy?.startsWith('/') ? source.signedBy : DEBIAN_KEYRING;
  await writeFile(join(etc, 'sources.list'), `deb [signed-by=${signedBy}] ${source.uri} ${suite} main\n`);
  const options = {
    'Dir::Etc': etc,
    'Dir::Etc::sourcelist': join(etc, 'sources.list'),
    'Dir::Etc::sourceparts': '-',
    'Dir::State': work,
    'Dir::State::lists': join(work, 'lists'),
    'Dir::State::status': join(work, 'status'),
    'Dir::Cache': join(work, 'cache'),
    'Acquire::Languages': 'none',
    'APT::Sandbox::User': '',
  };
  const apt = ['-qq', ...Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`])];
  const how = {
    cwd: work,
    timeout: DOWNLOAD_DEADLINE_MS,
    env: { PATH: process.env.PATH, LC_ALL: 'C', ...proxySettings() },
  };
  await run('apt-get', [...apt, 'update'], how);
  await run('apt-get', [...apt, 'download', ...wish.packages], how);
  const archives = (await readdir(work)).filter((name) => name.endsWith('.deb'));
  if (archives.length !== wish.packages.length) throw new Error(`apt-get download brought ${archives.length} archives`);
  for (const archive of archives) await run('dpkg-deb', ['-x', join(work, archive), join(work, 'root')], how);
}

async function debianCodename(wish: PackageWish): Promise<string> {
  const release = await readFile('/etc/os-release', 'utf8').catch(() => '');
  const id = /^ID=["']?([a-z]+)/m.exec(release)?.[1];
  const codename = /^VERSION_CODENAME=["']?([a-z]+)/m.exec(release)?.[1];
  if (process.platform !== 'linux' || id !== 'debian' || codename === undefined) {
    throw new LocalServerError(
      'binary-missing',
      `${wish.packages[0]} was not found and this is not Debian. ${wish.remedy}`,
    );
  }
  return codename;
}

async function machineSource(codename: string, wish: PackageWish): Promise<DebianSource> {
  const sources = parseOneLineSources(await readFile('/etc/apt/sources.list', 'utf8').catch(() => ''));
  for (const name of await readdir('/etc/apt/sources.list.d').catch(() => [])) {
    const text = await readFile(join('/etc/apt/sources.list.d', name), 'utf8').catch(() => '');
    if (name.endsWith('.sources')) sources.push(...parseDeb822Sources(text));
    else if (name.endsWith('.list')) sources.push(...parseOneLineSources(text));
  }
  const source = mainArchive(sources, codename);
  if (source === undefined) {
    throw new LocalServerError('download-failed', `no Debian mirror for ${codename} in /etc/apt. ${wish.remedy}`);
  }
  return source;
}

function proxySettings(): NodeJS.ProcessEnv {
  const names = ['http_proxy', 'https_proxy', 'no_proxy', 'HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY'];
  return Object.fromEntries(
    names.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
  );
}

async function isFolder(path: string): Promise<boolean> {
  return await readdir(path).then(
    () => true,
    () => false,
  );
}
