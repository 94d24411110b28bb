import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { arch, platform } from 'node:os';
import { createInterface } from 'node:readline';
import type { JsonRpcProvider } from 'ethers';
import { jsonRpcProvider, privateKeySigner } from '../provider.js';

/** First two keys of anvil's public development mnemonic: worth nothing outside a local node. */
const DEVELOPMENT_KEYS = [
  '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80',
  '0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d',
] as const;

export interface AnvilNode {
  readonly url: string;
  readonly provider: JsonRpcProvider;
  readonly owner: ReturnType<typeof privateKeySigner>;
  readonly stranger: ReturnType<typeof privateKeySigner>;
  stop(): Promise<void>;
}

/** The binary itself, not npm's wrapper: a signal must reach the node. */
function anvilPath(): string {
  const packageName = `@foundry-rs/anvil-${platform()}-${arch() === 'x64' ? 'amd64' : arch()}`;
  return createRequire(import.meta.url).resolve(`${packageName}/bin/anvil`);
}

/** A real anvil on a free port of loopback, for tests. */
export async function startAnvilNode(): Promise<AnvilNode> {
  const process = spawn(anvilPath(), ['--port', '0', '--host', '127.0.0.1'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const url = await new Promise<string>((resolve, reject) => {
    process.once('error', reject);
    process.once('exit', (code) => reject(new Error(`anvil ended with ${code}`)));
    createInterface({ input: process.stdout }).on('line', (line) => {
      const listening = /Listening on (\S+)/.exec(line);
      if (listening?.[1] !== undefined) resolve(`http://${listening[1]}`);
    });
  });
  const provider = jsonRpcProvider(url);
  return {
    url,
    provider,
    owner: privateKeySigner(provider, DEVELOPMENT_KEYS[0]),
    stranger: privateKeySigner(provider, DEVELOPMENT_KEYS[1]),
    async stop() {
      provider.destroy();
      const ended = once(process, 'exit');
      process.kill('SIGTERM');
      await ended;
    },
  };
}
