import { type Signer, Wallet } from 'ethers';
import { appContract, kmsContract } from '../abi.js';
import { compileContracts } from '../compile.js';
import { deployApp, deployImplementation, deployKms } from '../deploy.js';
import { readAppPolicy, readKmsPolicy } from '../policy-state.js';
import type { jsonRpcProvider } from '../provider.js';

/** What a script works with. `signer` reads the wallet when it is first asked for. */
interface ScriptContext {
  readonly provider: ReturnType<typeof jsonRpcProvider>;
  readonly signer: () => Signer;
}

/** The command line was wrong: the message says which word. */
export class ScriptMisuseError extends Error {
  readonly code = 'script-misuse';
  readonly retryable = false;
  constructor(message: string) {
    super(message);
    this.name = 'ScriptMisuseError';
  }
}

type ScriptOptions = Readonly<Record<string, string | boolean | undefined>>;

export interface ScriptCommand {
  readonly words: string;
  readonly summary: string;
  readonly run: (context: ScriptContext, words: readonly string[], options: ScriptOptions) => Promise<object>;
}

/** Deploys, upgrades, reads, and sends any function of the two contracts. Every answer is one JSON object. */
export const scriptCommands: Readonly<Record<string, ScriptCommand>> = {
  compile: {
    words: '',
    summary: 'compile the contracts; prints sizes in bytes',
    run: async () => {
      const sizes = Object.entries(await compileContracts()).map(([name, { bytecode }]) => [
        name,
        (bytecode.length - 2) / 2,
      ]);
      return Object.fromEntries(sizes) as object;
    },
  },
  'deploy-kms': {
    words: '[--owner <address>]',
    summary: 'deploy both implementations and the DstackKms proxy',
    run: ({ signer }, _words, { owner }) => deployKms(signer(), typeof owner === 'string' ? { owner } : {}),
  },
  'deploy-app': {
    words:
      '<kms> [--compose <hash>] [--device <id>] [--any-device] [--require-tcb] [--no-upgrades] [--owner <address>]',
    summary: 'deploy and register an app through the factory; prints the app id',
    run: async ({ signer }, [kms], options) => ({
      app: await deployApp(signer(), need('kms', kms), {
        allowAnyDevice: options['any-device'] === true,
        requireTcbUpToDate: options['require-tcb'] === true,
        disableUpgrades: options['no-upgrades'] === true,
        ...given('composeHash', options.compose),
        ...given('deviceId', options.device),
        ...given('owner', options.owner),
      }),
    }),
  },
  upgrade: {
    words: '<kms|app> <address>',
    summary: 'deploy the implementation of this source and switch the proxy to it',
    run: async ({ signer }, [kind, address]) => {
      const contract = contractOf(kind, need('address', address), signer());
      const implementation = await deployImplementation(signer(), kind === 'kms' ? 'DstackKms' : 'DstackApp');
      const sent = await contract.getFunction('upgradeToAndCall')(`0x${implementation}`, '0x');
      const { hash, blockNumber } = await sent.wait();
      return { implementation, transaction: hash, block: blockNumber };
    },
  },
  show: {
    words: '<kms> [<app>]',
    summary: 'everything the contract allows, at the latest block',
    run: async ({ provider }, [kms, app]) => {
      const { block, ...state } =
        app === undefined
          ? await readKmsPolicy(provider, need('kms', kms))
          : await readAppPolicy(provider, need('kms', kms), app);
      return { ...state, block: block.number, blockHash: block.hash };
    },
  },
  send: {
    words: '<kms|app> <address> <function> [arguments...]',
    summary: 'send any function, such as: send kms 0x… addOsImageHash 0x…',
    run: async ({ signer }, [kind, address, method, ...args]) => {
      const contract = contractOf(kind, need('address', address), signer());
      const fragment = contract.interface.getFunction(need('function', method));
      if (fragment === null || fragment.constant) throw new ScriptMisuseError(`${method}: no such function to send`);
      if (fragment.inputs.length !== args.length) {
        throw new ScriptMisuseError(`${fragment.format('full')}: ${args.length} arguments were given`);
      }
      const values = args.map((value, at) => (fragment.inputs[at]?.type === 'bool' ? booleanOf(value) : value));
      const sent = await contract.getFunction(fragment.format('sighash'))(...values);
      const { hash, blockNumber, gasUsed } = await sent.wait();
      return { transaction: hash, block: blockNumber, gasUsed: Number(gasUsed) };
    },
  },
};

/** A wallet from the text of a key file. The key never becomes part of a message. */
export function walletOf(content: string): Wallet {
  try {
    return new Wallet(content.trim());
  } catch {
    throw new ScriptMisuseError('the wallet file holds no 0x private key of 32 bytes');
  }
}

function contractOf(kind: string | undefined, address: string, signer: Signer) {
  if (kind !== 'kms' && kind !== 'app') throw new ScriptMisuseError(`${kind}: "kms" or "app" is required`);
  return kind === 'kms' ? kmsContract(address, signer) : appContract(address, signer);
}

function need(what: string, word: string | undefined): string {
  if (word === undefined) throw new ScriptMisuseError(`${what} is missing`);
  return word;
}

function given<K extends string>(name: K, value: string | boolean | undefined): { [key in K]?: string } {
  return typeof value === 'string'
    ? ({ [name]: value.replace(/^0x/, '').toLowerCase() } as { [key in K]: string })
    : {};
}

function booleanOf(word: string): boolean {
  if (word !== 'true' && word !== 'false') throw new ScriptMisuseError(`${word}: true or false is required`);
  return word === 'true';
}
