import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  appContract,
  approveCompose,
  approveOsImage,
  deployApp,
  deployKms,
  jsonRpcProvider,
  kmsContract,
  privateKeySigner,
} from '@vouch/contracts';
import { Wallet } from 'ethers';
import type { Context } from '../context.js';
import { CliFailure, exitCodes, misuse } from '../failure.js';
import type { Layout } from './layout.js';
import { keepPrivate, writePrivate } from './private-file.js';

/**
 * First account of the well-known test mnemonic that anvil funds ("test test … junk"): a public key pair, good for a
 * development chain only. With an outside chain (ETH_RPC_URL) a wallet must be given.
 */
const UNSAFE_ANVIL_KEY = '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80';

export interface PolicyChain {
  readonly kmsContract: string;
  readonly walletKeyFile: string;
}

/** Deploys the policy contracts once per chain; later starts find them by the record, and check that they are there. */
export async function preparePolicyChain(layout: Layout, rpcUrl: string): Promise<PolicyChain> {
  const walletKeyFile = join(layout.keysFolder, 'wallet.key');
  const own = process.env.ETH_RPC_URL === undefined || process.env.UNSAFE_DEVELOPMENT_WALLET === '1';
  const key = keepPrivate(walletKeyFile, () => {
    const given = process.env.ETH_WALLET_KEY_FILE;
    if (given !== undefined) return readFileSync(given, 'utf8').trim();
    if (own) return UNSAFE_ANVIL_KEY;
    throw misuse(
      'ETH_RPC_URL names a chain of your own, but no wallet is given',
      'set ETH_WALLET_KEY_FILE to a file with a funded 0x private key (UNSAFE_DEVELOPMENT_WALLET=1 takes the public test key of anvil)',
    );
  });
  const provider = jsonRpcProvider(rpcUrl);
  try {
    const recordFile = join(layout.chainFolder, 'kms-contract');
    if (existsSync(recordFile)) {
      const address = readFileSync(recordFile, 'utf8').trim();
      if ((await provider.getCode(`0x${address}`)) !== '0x') return { kmsContract: address, walletKeyFile };
    }
    const { kms } = await deployKms(privateKeySigner(provider, key));
    writePrivate(recordFile, kms);
    return { kmsContract: kms, walletKeyFile };
  } catch (cause) {
    if (cause instanceof CliFailure) throw cause;
    throw new CliFailure(
      exitCodes.network,
      `the chain at ${rpcUrl} did not take the policy contracts: ${(cause as Error).message}`,
      'check ETH_RPC_URL and the wallet',
      { cause },
    );
  } finally {
    provider.destroy();
  }
}

/** The chain of a context. The caller destroys the provider. */
export interface OpenChain {
  readonly provider: ReturnType<typeof jsonRpcProvider>;
  /** DstackKms, 40 hex digits. */
  readonly kms: string;
  /** The wallet; a misuse when the context has none or its file holds no key. */
  readonly signer: () => ReturnType<typeof privateKeySigner>;
}

export function openChain({ chain }: Context): OpenChain {
  if (chain === undefined) throw misuse('this context names no chain', 'add `chain` to the context file');
  const { rpcUrl, kmsContract: contract, walletKeyFile } = chain;
  const provider = jsonRpcProvider(rpcUrl);
  const signer = () => {
    if (walletKeyFile === undefined)
      throw misuse('this context has no wallet', 'add chain.walletKeyFile to the context file, or ask the app owner');
    return privateKeySigner(provider, readKey(walletKeyFile));
  };
  return { provider, kms: contract.replace(/^0x/, '').toLowerCase(), signer };
}

/** The key itself never becomes part of a message. */
function readKey(path: string): string {
  try {
    return new Wallet(readFileSync(path, 'utf8').trim()).privateKey;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw misuse(`${path} ${code === 'ENOENT' ? 'does not exist' : 'holds no 0x private key of 32 bytes'}`);
  }
}

/** Policy changes by the holder of the wallet in the context: the CLI's own act, never the control plane's. */
export class PolicyWallet {
  readonly #provider;
  readonly #signer;
  readonly #kms: string;

  constructor(context: Context) {
    const { provider, kms, signer } = openChain(context);
    this.#provider = provider;
    this.#signer = signer();
    this.#kms = kms;
  }

  /** Deploys a DstackApp through the factory; its address is the app id. Any device may run it. */
  createApp(): Promise<string> {
    return deployApp(this.#signer, this.#kms, { allowAnyDevice: true });
  }

  /** Allows a compose hash; false when it was allowed already. */
  async approveCompose(appId: string, composeHash: string): Promise<boolean> {
    if (await appContract(appId, this.#provider).getFunction('allowedComposeHashes')(`0x${composeHash}`)) return false;
    await approveCompose(this.#signer, appId, composeHash);
    return true;
  }

  /** Allows an OS image; false when it was allowed already. */
  async approveOsImage(osImageHash: string): Promise<boolean> {
    if (await kmsContract(this.#kms, this.#provider).getFunction('allowedOsImages')(`0x${osImageHash}`)) return false;
    await approveOsImage(this.#signer, this.#kms, osImageHash);
    return true;
  }

  close(): void {
    this.#provider.destroy();
  }
}
