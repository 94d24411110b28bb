import { type Interface, isError, type JsonRpcApiProvider } from 'ethers';
import { z } from 'zod';
import { addressOf } from './abi.js';
import { PolicyUnavailableError } from './policy-unavailable-error.js';

/** The one block a policy is read at. */
export interface PolicyBlock {
  readonly number: number;
  /** 32 bytes hex. */
  readonly hash: string;
  readonly time: Date;
}

/** Which block to read at: a tag or a number, or so many blocks behind the head. */
export type BlockChoice =
  | 'latest'
  | 'safe'
  | 'finalized'
  | number
  | { /** 0: the head itself. */ readonly confirmations: number };

const headSchema = z.object({
  number: z.string().regex(/^0x[0-9a-f]+$/),
  hash: z.string().regex(/^0x[0-9a-f]{64}$/),
  timestamp: z.string().regex(/^0x[0-9a-f]+$/),
});

/** Chain id of the node. Throws PolicyUnavailableError when it does not answer, or is not on the `expected` chain. */
export async function readChainId(provider: JsonRpcApiProvider, expected?: number): Promise<number> {
  const chainId = Number(await ask(provider, 'eth_chainId', []));
  if (!Number.isSafeInteger(chainId)) throw new PolicyUnavailableError('the node names no chain id');
  if (expected !== undefined && chainId !== expected) {
    throw new PolicyUnavailableError(`the node is on chain ${chainId}, not on chain ${expected}`);
  }
  return chainId;
}

/** The block that `choice` names now. Throws PolicyUnavailableError when the chain has none. */
export async function readPolicyBlock(provider: JsonRpcApiProvider, choice: BlockChoice): Promise<PolicyBlock> {
  if (typeof choice !== 'object') return await readBlock(provider, choice);
  const head = await readBlock(provider, 'latest');
  if (choice.confirmations === 0) return head;
  if (head.number < choice.confirmations) {
    throw new PolicyUnavailableError(
      `no block has ${choice.confirmations} confirmations yet: the head is ${head.number}`,
    );
  }
  return await readBlock(provider, head.number - choice.confirmations);
}

async function readBlock(provider: JsonRpcApiProvider, tag: string | number): Promise<PolicyBlock> {
  const name = typeof tag === 'number' ? `0x${tag.toString(16)}` : tag;
  const head = headSchema.safeParse(await ask(provider, 'eth_getBlockByNumber', [name, false]));
  if (!head.success) throw new PolicyUnavailableError(`the chain has no block ${tag}`);
  const { number, hash, timestamp } = head.data;
  return { number: Number(number), hash: hash.slice(2), time: new Date(Number(timestamp) * 1000) };
}

/** Where view calls go: the contract behind an address, at one block by its hash (EIP-1898). */
export interface PinnedTarget {
  readonly abi: Interface;
  /** 40 hex digits, with or without 0x. */
  readonly address: string;
  readonly block: PolicyBlock;
  /** Said when nothing answers at the address. */
  readonly contract: 'DstackKms' | 'DstackApp';
}

/** Calls a view function; answers the decoded results. */
export type PinnedCall = (name: string, args?: readonly unknown[]) => Promise<readonly unknown[]>;

/**
 * View calls of one contract at one block; an error when the block is no longer canonical, so that a reorganisation
 * between two calls is never a mixed answer. Throws PolicyUnavailableError when the chain or the contract does not answer.
 */
export function pinnedCall(provider: JsonRpcApiProvider, { abi, address, block, contract }: PinnedTarget): PinnedCall {
  const at = { blockHash: `0x${block.hash}`, requireCanonical: true };
  return async (name, args = []) => {
    const data = abi.encodeFunctionData(name, args);
    const result = String(await ask(provider, 'eth_call', [{ to: addressOf(address), data }, at]));
    if (result === '0x') throw new PolicyUnavailableError(`no ${contract} answers at ${addressOf(address)}`);
    return abi.decodeFunctionResult(name, result);
  };
}

/** One JSON-RPC request. A failure is PolicyUnavailableError; a revert stays ethers' CALL_EXCEPTION. */
export async function ask(provider: JsonRpcApiProvider, method: string, params: unknown[]): Promise<unknown> {
  try {
    return await provider.send(method, params);
  } catch (error) {
    if (isError(error, 'CALL_EXCEPTION')) throw error;
    throw new PolicyUnavailableError(`${method} failed: ${nodeFault(error)}`);
  }
}

/**
 * What the node or the way to it did, without what ethers appends: the full message holds the node's URL, and that may
 * hold an access key. For the same reason the error is not kept as a cause.
 */
function nodeFault(error: unknown): string {
  const {
    shortMessage,
    message,
    error: answer,
  } = error as {
    shortMessage?: unknown;
    message?: unknown;
    error?: { message?: unknown };
  };
  const said = typeof answer?.message === 'string' ? `: ${answer.message}` : '';
  return `${String(shortMessage ?? message ?? error)}${said}`.slice(0, 500);
}
