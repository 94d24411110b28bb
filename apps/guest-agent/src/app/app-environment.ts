import { isEnvName, openEnv } from '@vouch/keys';
import { AgentFailure } from '../agent-failure.js';
import type { AgentLog } from '../agent-log.js';
import type { SharedFolder } from '../shared-folder/shared-folder.js';

/** Names an encrypted environment cannot set: they would point the app away from its own guest. */
const RESERVED = new Set(['DSTACK_SIMULATOR_ENDPOINT', 'DSTACK_AGENT_ADDRESS', 'VOUCH_ADDRESS', 'VOUCH_NODE_BIN']);

/**
 * Variables of the encrypted environment the compose allows (`allowed_envs`). Names that are not allowed are dropped, and
 * logged by name. `envCryptKeys`: the granted key, then those of earlier key epochs, newest first: the owner may have
 * encrypted for one of them. Throws AgentFailure `encrypted-env-invalid` when the blob opens with none.
 */
export function decryptedEnvironment(
  shared: SharedFolder,
  envCryptKeys: readonly Uint8Array[],
  log: AgentLog,
): Readonly<Record<string, string>> {
  if (shared.encryptedEnv.length === 0) return {};
  const variables = openWithOne(envCryptKeys, shared.encryptedEnv);
  const allowed = new Set(shared.appCompose.allowed_envs);
  const usable = (name: string): boolean => allowed.has(name) && isEnvName(name) && !RESERVED.has(name);
  const dropped = variables.filter(({ key }) => !usable(key)).map(({ key }) => key.slice(0, 64));
  if (dropped.length > 0) log.warn('environment variables the compose does not allow were dropped', { names: dropped });
  return Object.fromEntries(variables.filter(({ key }) => usable(key)).map(({ key, value }) => [key, value]));
}

function openWithOne(keys: readonly Uint8Array[], encryptedEnv: Uint8Array): ReturnType<typeof openEnv> {
  let problem: Error | undefined;
  for (const key of keys) {
    try {
      return openEnv(key, encryptedEnv);
    } catch (error) {
      problem ??= error as Error;
    }
  }
  throw new AgentFailure('encrypted-env-invalid', `.encrypted-env: ${problem?.message}`, false, { cause: problem });
}

/** The app's whole environment: nothing of the agent's own but the search path. */
export function appEnvironment(options: {
  readonly dstackSocket: string;
  readonly address: string;
  readonly home: string;
  readonly decrypted: Readonly<Record<string, string>>;
}): NodeJS.ProcessEnv {
  return {
    PATH: process.env.PATH ?? '/usr/local/bin:/usr/bin:/bin',
    LANG: 'C.UTF-8',
    HOME: options.home,
    ...options.decrypted,
    DSTACK_SIMULATOR_ENDPOINT: options.dstackSocket,
    DSTACK_AGENT_ADDRESS: `unix:${options.dstackSocket}`,
    VOUCH_ADDRESS: options.address,
    VOUCH_NODE_BIN: process.execPath,
  };
}
