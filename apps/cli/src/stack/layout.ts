import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { CliFailure, exitCodes } from '../failure.js';

/**
 * Where everything of a development stack lies: one data folder. Unix socket paths may have at most 107 bytes, so a data
 * folder with a long path is reached through a short link in the system's temporary folder; `vouch down` removes the link.
 */
export interface Layout {
  /** The data folder as services see it: short enough for every socket below it. */
  readonly root: string;
  /** The same folder by its real path, for what people read and for files without sockets. */
  readonly realRoot: string;
  /** The link's own folder to remove at the end, or null when the real path was short enough. */
  readonly linkFolder: string | null;
  readonly stateFile: string;
  readonly contextFile: string;
  readonly trustFile: string;
  readonly tokensFile: string;
  readonly keysFolder: string;
  readonly logsFolder: string;
  readonly natsFolder: string;
  readonly postgresFolder: string;
  readonly redisFolder: string;
  readonly chainFolder: string;
  readonly kmsFolder: string;
  readonly simulatorFolder: string;
  readonly simulatorSocket: string;
  readonly hostsFolder: string;
  readonly gatewayFolder: string;
  readonly auditEnvironmentFile: string;
  readonly kmsEnvironmentFile: string;
}

/** Longest path below the data folder that must hold a socket: hosts/<32>/guests/<40>/dstack.sock. */
const LONGEST_SOCKET = join('hosts', 'x'.repeat(10), 'guests', 'x'.repeat(40), 'dstack.sock').length + 1;
const SOCKET_PATH_MAX = 107;

/** Makes the data folder (mode 0700) and answers its layout. Throws a CliFailure naming the folder when it cannot be written. */
export function openLayout(dataFolder: string): Layout {
  try {
    makeFolder(dataFolder);
    const probe = join(dataFolder, '.write-probe');
    writeFileSync(probe, '');
  } catch (cause) {
    throw new CliFailure(
      exitCodes.misuse,
      `the data folder ${dataFolder} cannot be written: ${(cause as Error).message}`,
      'set VOUCH_DATA to a folder on a writable disk',
      { cause },
    );
  }
  const real = realpathSync(dataFolder);
  const { root, linkFolder } =
    Buffer.byteLength(real) + LONGEST_SOCKET <= SOCKET_PATH_MAX ? { root: real, linkFolder: null } : shortLink(real);
  const layout: Layout = {
    root,
    realRoot: real,
    linkFolder,
    stateFile: join(root, 'state.json'),
    contextFile: join(root, 'context.json'),
    trustFile: join(root, 'trust.json'),
    tokensFile: join(root, 'tokens.json'),
    keysFolder: join(root, 'keys'),
    logsFolder: join(root, 'logs'),
    natsFolder: join(root, 'nats'),
    postgresFolder: join(root, 'postgres'),
    redisFolder: join(root, 'redis'),
    chainFolder: join(root, 'chain'),
    kmsFolder: join(root, 'kms'),
    simulatorFolder: join(root, 'simulator'),
    simulatorSocket: join(root, 'simulator', 'admin.sock'),
    hostsFolder: join(root, 'hosts'),
    gatewayFolder: join(root, 'gateway'),
    auditEnvironmentFile: join(root, 'audit.env.json'),
    kmsEnvironmentFile: join(root, 'kms.env.json'),
  };
  for (const folder of [
    layout.keysFolder,
    layout.logsFolder,
    layout.natsFolder,
    layout.chainFolder,
    layout.kmsFolder,
    layout.simulatorFolder,
    layout.hostsFolder,
    layout.gatewayFolder,
  ]) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  }
  return layout;
}

/**
 * Makes the folder and what is missing above it, level by level. Not `mkdir` with `recursive`: on file systems that take
 * no folders (such as /proc) Node tries that for ever.
 */
function makeFolder(path: string): void {
  if (existsSync(path)) return;
  if (dirname(path) !== path) makeFolder(dirname(path));
  mkdirSync(path, { mode: 0o700 });
}

/** A private folder in the temporary folder holding one link to the data folder; reused while the data folder names it. */
function shortLink(real: string): { root: string; linkFolder: string } {
  const recordFile = join(real, '.short-link');
  try {
    const linkFolder = readFileSync(recordFile, 'utf8');
    if (realpathSync(join(linkFolder, 'd')) === real) return { root: join(linkFolder, 'd'), linkFolder };
  } catch {
    // No usable link yet: make one.
  }
  const tag = createHash('sha256').update(real).digest('hex').slice(0, 6);
  const linkFolder = mkdtempSync(join(tmpdir(), `vouch-${tag}-`));
  symlinkSync(real, join(linkFolder, 'd'));
  writeFileSync(recordFile, linkFolder);
  return { root: join(linkFolder, 'd'), linkFolder };
}
