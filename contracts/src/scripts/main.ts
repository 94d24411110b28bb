/**
 * Deploys and manages the policy contracts: `node contracts/dist/scripts/main.js --help`. Results are JSON on stdout; the
 * wallet comes from a file, never from the command line.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { jsonRpcProvider, privateKeySigner } from '../provider.js';
import { ScriptMisuseError, scriptCommands, walletOf } from './commands.js';

const EXIT_MISUSE = 64;

function help(): string {
  const lines = Object.entries(scriptCommands).map(
    ([name, { words, summary }]) => `  ${`${name} ${words}`.trimEnd()}\n      ${summary}`,
  );
  return `usage: node contracts/dist/scripts/main.js <command> [words] [options]

${lines.join('\n')}

  --rpc <url>           the node (ETH_RPC_URL)
  --wallet-file <path>  file with the 0x private key that sends (ETH_WALLET_KEY_FILE)
  --help                this text
`;
}

async function main(): Promise<void> {
  const { values, positionals } = parsed();
  const [name, ...words] = positionals;
  if (values.help === true || name === undefined) {
    process.stdout.write(help());
    process.exitCode = values.help === true ? 0 : EXIT_MISUSE;
    return;
  }
  const command = Object.hasOwn(scriptCommands, name) ? scriptCommands[name] : undefined;
  if (command === undefined) throw new ScriptMisuseError(`${name}: no such command; see --help`);
  const provider = jsonRpcProvider(values.rpc ?? process.env.ETH_RPC_URL ?? 'http://127.0.0.1:8545');
  try {
    const signer = () => {
      const path = values['wallet-file'] ?? process.env.ETH_WALLET_KEY_FILE;
      if (path === undefined) throw new ScriptMisuseError('--wallet-file is missing');
      return privateKeySigner(provider, walletOf(readFileSync(path, 'utf8')).privateKey);
    };
    process.stdout.write(`${JSON.stringify(await command.run({ provider, signer }, words, values), null, 2)}\n`);
  } finally {
    provider.destroy();
  }
}

function parsed() {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        ...{ help: flag, rpc: text, 'wallet-file': text, owner: text, compose: text, device: text },
        ...{ 'any-device': flag, 'require-tcb': flag, 'no-upgrades': flag },
      },
    });
  } catch (error) {
    throw new ScriptMisuseError((error as Error).message);
  }
}

main().catch((error: unknown) => {
  const { shortMessage, message } = error as { shortMessage?: string; message?: string };
  process.stderr.write(`contracts: ${shortMessage ?? message ?? String(error)}\n`);
  process.exitCode = error instanceof ScriptMisuseError ? EXIT_MISUSE : 1;
});
