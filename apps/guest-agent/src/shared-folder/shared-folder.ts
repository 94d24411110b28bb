import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { type ComposeHash, composeHashOf } from '@vouch/domain';
import { AgentFailure } from '../agent-failure.js';
import { type AppCompose, readAppCompose } from './app-compose.js';
import { type InstanceInfo, readInstanceInfo } from './instance-info.js';
import { readSysConfig, type SysConfig } from './sys-config.js';

/** Largest accepted files, in bytes (dstack-guest §7.2; the compose limit is that of a release in the log). */
const LIMITS = {
  'app-compose.json': 128 * 1024,
  '.sys-config.json': 64 * 1024,
  '.instance_info': 10 * 1024,
  '.encrypted-env': 256 * 1024,
} as const;

export interface SharedFolder {
  /** Exact bytes, whose SHA-256 is the compose hash. */
  readonly appComposeText: string;
  readonly appCompose: AppCompose;
  readonly composeHash: ComposeHash;
  readonly sysConfig: SysConfig;
  readonly instance: InstanceInfo;
  /** Raw dstack blob; empty when the app has no encrypted environment. */
  readonly encryptedEnv: Uint8Array;
}

/** Reads what the host shares, once, within size limits and without following links. Throws AgentFailure. */
export async function readSharedFolder(folder: string): Promise<SharedFolder> {
  const composeBytes = await readLimited(folder, 'app-compose.json');
  if (composeBytes === undefined) throw missing('app-compose.json');
  const sysConfigBytes = await readLimited(folder, '.sys-config.json');
  if (sysConfigBytes === undefined) throw missing('.sys-config.json');
  const instanceBytes = await readLimited(folder, '.instance_info');
  if (instanceBytes === undefined) throw missing('.instance_info');
  return {
    appCompose: readAppCompose(composeBytes),
    appComposeText: new TextDecoder().decode(composeBytes),
    composeHash: composeHashOf(composeBytes),
    sysConfig: readSysConfig(sysConfigBytes),
    instance: readInstanceInfo(instanceBytes),
    encryptedEnv: (await readLimited(folder, '.encrypted-env')) ?? new Uint8Array(),
  };
}

async function readLimited(folder: string, name: keyof typeof LIMITS): Promise<Uint8Array | undefined> {
  const limit = LIMITS[name];
  let handle: Awaited<ReturnType<typeof open>>;
  try {
    handle = await open(join(folder, name), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new AgentFailure('shared-file-invalid', `${name} cannot be opened as a plain file`, false, { cause });
  }
  try {
    if (!(await handle.stat()).isFile()) throw new AgentFailure('shared-file-invalid', `${name} is not a plain file`);
    // One byte more than allowed: the file may grow between a look at its size and the read.
    const buffer = Buffer.alloc(limit + 1);
    let length = 0;
    for (;;) {
      const { bytesRead } = await handle.read(buffer, length, buffer.length - length, length);
      length += bytesRead;
      if (bytesRead === 0 || length > limit) break;
    }
    if (length > limit) throw new AgentFailure('shared-file-invalid', `${name} is larger than ${limit} bytes`);
    return new Uint8Array(buffer.subarray(0, length));
  } finally {
    await handle.close();
  }
}

function missing(name: string): AgentFailure {
  return new AgentFailure('shared-file-invalid', `${name} is missing from the shared folder`);
}
