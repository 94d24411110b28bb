import { isError, type JsonRpcApiProvider } from 'ethers';
import { z } from 'zod';
import { addressOf, dstackKmsAbi } from './abi.js';
import type { BootDecision, BootInfo, BootKind } from './boot-info.js';
import { PolicyUnavailableError } from './policy-unavailable-error.js';

/** The one block a policy was read at. */
export interface PolicyBlock {
  readonly number: number;
  /** 32 bytes hex. */
  readonly hash: string;
  readonly time: Date;
}

/** A contract's decision and the block it was read at. */
export interface BootPolicy extends BootDecision {
  readonly chainId: number;
  readonly block: PolicyBlock;
}

/** Which block to read at: a tag or a number, or so many blocks behind the head. */
export type BlockChoice =
  | 'latest'
  | 'safe'
  | 'finalized'
  | number
  | { /** 0: the head itself. */ readonly confirmations: number };

export interface ReadBootPolicyOptions {
  readonly blockTag?: BlockChoice;
  /** Whose boot is asked about; `app` when absent. */
  readonly kind?: BootKind;
  /** The chain that must answer; another one is as good as none. */
  readonly chainId?: number;
}

const headSchema = z.object({
  number: z.string().regex(/^0x[0-9a-f]+$/),
  hash: z.string().regex(/^0x[0-9a-f]{64}$/),
  timestamp: z.string().regex(/^0x[0-9a-f]+$/),
});

/** Calls a view function of a contract at the pinned block; answers the decoded results. */
type PinnedCall = (name: string, args: readonly unknown[]) => Promise<readonly unknown[]>;

/**
 * Asks DstackKms at `kms` whether the app (or key server) may boot, with every call pinned to one block by its hash
 * (EIP-1898), so that a reorganisation between the calls is an error instead of a mixed answer. A revert of a contract is
 * a refusal with that reason. Throws PolicyUnavailableError when the chain cannot be asked.
 */
export async function readBootPolicy(
  provider: JsonRpcApiProvider,
  kms: string,
  bootInfo: BootInfo,
  options: ReadBootPolicyOptions = {},
): Promise<BootPolicy> {
  const chainId = await readChainId(provider, options.chainId);
  const block = await readPolicyBlock(provider, options.blockTag ?? 'latest');
  const call = pinnedCall(provider, kms, block);
  const decision = await decide(call, options.kind ?? 'app', bootInfo);
  const gatewayAppId = String((await call('gatewayAppId', []))[0]);
  return { ...decision, gatewayAppId, chainId, block };
}

/** Chain id of the node. Throws PolicyUnavailableError when it does not answer, or is not on the `expected` chain. */
export async function readChainId(provider: JsonRpcApiProvider, expected?: number): Promise<number> {
  const chainId = Number(await request(provider, 'eth_chainId', []));
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
  const head = headSchema.safeParse(await request(provider, 'eth_getBlockByNumber', [name, false]));
  if (!head.success) throw new PolicyUnavailableError(`the chain has no block ${tag}`);
  const { number, hash, timestamp } = head.data;
  return { number: Number(number), hash: hash.slice(2), time: new Date(Number(timestamp) * 1000) };
}

/** View calls of DstackKms at `kms` at that block only, by its hash; an error when the block is no longer canonical. */
function pinnedCall(provider: JsonRpcApiProvider, kms: string, block: PolicyBlock): PinnedCall {
  const at = { blockHash: `0x${block.hash}`, requireCanonical: true };
  return async (name, args) => {
    const data = dstackKmsAbi.encodeFunctionData(name, args);
    const result = String(await request(provider, 'eth_call', [{ to: addressOf(kms), data }, at]));
    if (result === '0x') throw new PolicyUnavailableError(`no DstackKms answers at ${addressOf(kms)}`);
    return dstackKmsAbi.decodeFunctionResult(name, result);
  };
}

async function decide(
  call: PinnedCall,
  kind: BootKind,
  bootInfo: BootInfo,
): Promise<{ isAllowed: boolean; reason: string }> {
  try {
    const method = kind === 'app' ? 'isAppAllowed' : 'isKmsAllowed';
    const [isAllowed, reason] = await call(method, [bootInfoTuple(bootInfo)]);
    return { isAllowed: isAllowed === true, reason: String(reason) };
  } catch (error) {
    if (isError(error, 'CALL_EXCEPTION')) {
      return { isAllowed: false, reason: `policy contract reverted: ${error.reason ?? error.shortMessage}` };
    }
    if (isError(error, 'BAD_DATA')) {
      return { isAllowed: false, reason: 'policy contract returned data that is no decision' };
    }
    throw error;
  }
}

function bootInfoTuple(info: BootInfo): readonly unknown[] {
  return [
    addressOf(info.appId),
    bytes32('composeHash', info.composeHash),
    info.instanceId === '' ? `0x${'00'.repeat(20)}` : addressOf(info.instanceId),
    bytes32('deviceId', info.deviceId),
    bytes32('mrAggregated', info.mrAggregated),
    bytes32('mrSystem', info.mrSystem),
    bytes32('osImageHash', info.osImageHash),
    info.tcbStatus,
    [...info.advisoryIds],
  ];
}

/** Shorter values are refused, not padded: padding could meet another allow-listed value. */
function bytes32(field: string, hex: string): string {
  if (!/^[0-9a-f]{64}$/.test(hex)) throw new TypeError(`${field} must be 32 bytes of lower-case hex`);
  return `0x${hex}`;
}

async function request(provider: JsonRpcApiProvider, method: string, params: unknown[]): Promise<unknown> {
  try {
    return await provider.send(method, params);
  } catch (cause) {
    if (isError(cause, 'CALL_EXCEPTION')) throw cause;
    throw new PolicyUnavailableError(`${method} failed: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  }
}
