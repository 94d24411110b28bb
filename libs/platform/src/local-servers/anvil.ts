import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { onPort } from './choose-port.js';
import { LocalServerError } from './errors.js';
import type { LocalServer, LocalServerOptions } from './local-server.js';
import { findOnPath, isExecutable } from './server-binary.js';
import { startServerProcess, stopLeftover } from './server-process.js';

export const ANVIL_CHAIN_ID = 31337;
const SAVE_EVERY_MS = 1000;
const RPC_DEADLINE_MS = 10_000;

export interface AnvilOptions extends LocalServerOptions {
  /**
   * Mine an empty block every so many seconds as well; absent: one block per transaction and none without. Readers that
   * refuse an old head need the empty ones.
   */
  readonly blockTimeSeconds?: number;
}

/**
 * Starts a local EVM node (anvil, chain id 31337) that keeps its chain over restarts: the state is read through
 * `anvil_dumpState` within a second of a change and at stop, and renamed into place, so a kill -9 leaves the previous
 * whole state, never half of one. (`--state` writes in place and loses the chain when killed while writing.)
 */
export async function startAnvil(options: AnvilOptions): Promise<LocalServer> {
  const { dataDir, onProgress } = options;
  const command = await locateAnvil();
  await mkdir(dataDir, { recursive: true });
  await stopLeftover(dataDir, 'anvil', onProgress);
  const statePath = join(dataDir, 'state.hex');
  return await onPort(options.port, 'anvil', options.portSetting, async (port) => {
    const url = `http://127.0.0.1:${port}`;
    const keeper = new StateKeeper(url, statePath);
    const { blockTimeSeconds: every } = options;
    const blockTime = every === undefined ? [] : ['--block-time', String(every), '--mixed-mining'];
    const server = await startServerProcess({
      name: 'anvil',
      command,
      args: [
        '--host',
        '127.0.0.1',
        '--port',
        String(port),
        '--chain-id',
        String(ANVIL_CHAIN_ID),
        '--quiet',
        ...blockTime,
      ],
      dataDir,
      url,
      port,
      stopSignal: 'SIGTERM',
      isReady: async () =>
        (await rpc(url, 'eth_chainId', []).catch(() => undefined)) === `0x${ANVIL_CHAIN_ID.toString(16)}`,
      beforeStop: () => keeper.finish(),
      ...(onProgress === undefined ? {} : { onProgress }),
    });
    try {
      await keeper.restore();
    } catch (error) {
      await server.kill9();
      throw error;
    }
    keeper.start();
    void server.exited.then(() => keeper.halt());
    return server;
  });
}

/** Copies the chain's state to disk whenever the state root or the latest transaction changed. */
class StateKeeper {
  #timer: NodeJS.Timeout | undefined;
  #savedRoot: string | undefined;
  #saving: Promise<void> | undefined;

  constructor(
    private readonly url: string,
    private readonly path: string,
  ) {}

  async restore(): Promise<void> {
    const state = await readFile(this.path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (state === undefined) return;
    const isLoaded = await rpc(this.url, 'anvil_loadState', [state]).catch((cause: unknown) => {
      throw new LocalServerError(
        'data-damaged',
        `anvil does not take its saved state ${this.path}; remove the file to start a new chain`,
        false,
        { cause },
      );
    });
    if (isLoaded !== true)
      throw new LocalServerError(
        'data-damaged',
        `anvil refused its saved state ${this.path}; remove the file to start a new chain`,
      );
    this.#savedRoot = await this.#currentRoot();
  }

  start(): void {
    this.#timer = setInterval(() => void this.#saveOnce().catch(() => undefined), SAVE_EVERY_MS);
    this.#timer.unref();
  }

  halt(): void {
    clearInterval(this.#timer);
  }

  async finish(): Promise<void> {
    this.halt();
    await this.#saveOnce();
    await this.#saveOnce();
  }

  #saveOnce(): Promise<void> {
    this.#saving ??= this.#save().finally(() => {
      this.#saving = undefined;
    });
    return this.#saving;
  }

  async #save(): Promise<void> {
    const root = await this.#currentRoot();
    if (root === this.#savedRoot) return;
    const state = await rpc(this.url, 'anvil_dumpState', []);
    if (typeof state !== 'string') throw new TypeError('anvil_dumpState did not return text');
    await writeFile(`${this.path}.new`, state, { flush: true });
    await rename(`${this.path}.new`, this.path);
    this.#savedRoot = root;
  }

  async #currentRoot(): Promise<string> {
    const block = (await rpc(this.url, 'eth_getBlockByNumber', ['latest', false])) as { stateRoot?: string } | null;
    return String(block?.stateRoot);
  }
}

async function rpc(url: string, method: string, params: readonly unknown[]): Promise<unknown> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
    signal: AbortSignal.timeout(RPC_DEADLINE_MS),
  });
  const answer = (await response.json()) as { result?: unknown; error?: { message?: string } };
  if (answer.error !== undefined) throw new Error(`${method}: ${answer.error.message}`);
  return answer.result;
}

async function locateAnvil(): Promise<string> {
  const configured = process.env.ANVIL_BIN;
  if (configured !== undefined && configured !== '') {
    if (await isExecutable(configured)) return configured;
    throw new LocalServerError('binary-missing', `ANVIL_BIN=${configured} is not an executable file`);
  }
  const platform = `${process.platform}-${process.arch === 'x64' ? 'amd64' : process.arch}`;
  try {
    const manifest = createRequire(import.meta.url).resolve(`@foundry-rs/anvil-${platform}/package.json`);
    const path = join(dirname(manifest), 'bin/anvil');
    if (await isExecutable(path)) return path;
  } catch {
    // Not installed for this platform: PATH is next.
  }
  const onPath = await findOnPath('anvil');
  if (onPath !== undefined) return onPath;
  throw new LocalServerError(
    'binary-missing',
    `no anvil for ${platform}: run "npm install @foundry-rs/anvil", set ANVIL_BIN, or set ETH_RPC_URL to an EVM node of your own`,
  );
}
