import { isError, type JsonRpcApiProvider } from 'ethers';
import { z } from 'zod';
import { addressOf, dstackKmsAbi } from './abi.js';

/** What the contract judges, all hex without 0x (dstack-kms §15, §16). */
export interface BootInfo {
  /** 20 bytes. */
  readonly appId: string;
  /** 32 bytes. */
  readonly composeHash: string;
  /** 20 bytes, or empty: the contract then sees the zero address. */
  readonly instanceId: string;
  /** 32 bytes. */
  readonly deviceId: string;
  readonly mrAggregated: string;
  readonly mrSystem: string;
  readonly osImageHash: string;
  /** Intel's name, e.g. `UpToDate`. */
  readonly tcbStatus: string;
  readonly advisoryIds: readonly string[];
}

/** A decision and the one block it was read at. */
export interface BootPolicy {
  readonly isAllowed: boolean;
  /** The contract's own reason; empty when allowed. */
  readonly reason: string;
  readonly gatewayAppId: string;
  readonly chainId: number;
  readonly block: { readonly number: number /** 32 bytes hex. */; readonly hash: string; readonly time: Date };
}

/** The chain did not answer, or no contract answers at the address. A retry can help. */
export class PolicyUnavailableError extends Error {
  readonly code = 'policy-unavailable';
  readonly retryable = true;
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'PolicyUnavailableError';
  }
}

const headSchema = z.object({
  number: z.string().regex(/^0x[0-9a-f]+$/),
  hash: z.string().regex(/^0x[0-9a-f]{64}$/),
  timestamp: z.string().regex(/^0x[0-9a-f]+$/),
});

/**
 * Asks DstackKms at `kms` whether the app may boot, with every call pinned to one block by its hash (EIP-1898), so that a
 * reorganisation between the calls is an error instead of a mixed answer. A revert of a contract is a refusal with that
 * reason. Throws PolicyUnavailableError when the chain cannot be asked.
 */
export async function readBootPolicy(
  provider: JsonRpcApiProvider,
  kms: string,
  bootInfo: BootInfo,
  options: { blockTag?: 'latest' | 'safe' | 'finalized' | number } = {},
): Promise<BootPolicy> {
  const tag = options.blockTag ?? 'latest';
  const head = headSchema.safeParse(
    await request(provider, 'eth_getBlockByNumber', [typeof tag === 'number' ? `0x${tag.toString(16)}` : tag, false]),
  );
  if (!head.success) throw new PolicyUnavailableError(`the chain has no block ${tag}`);
  const { number, hash, timestamp } = head.data;
  const call = async (name: string, args: readonly unknown[]) => {
    const data = dstackKmsAbi.encodeFunctionData(name, args);
    const at = { blockHash: hash, requireCanonical: true };
    const result = String(await request(provider, 'eth_call', [{ to: addressOf(kms), data }, at]));
    if (result === '0x') throw new PolicyUnavailableError(`no DstackKms answers at ${addressOf(kms)}`);
    return dstackKmsAbi.decodeFunctionResult(name, result);
  };
  const decision = await decide(call, bootInfo);
  const gatewayAppId = String((await call('gatewayAppId', []))[0]);
  const chainId = Number(await request(provider, 'eth_chainId', []));
  const time = new Date(Number(timestamp) * 1000);
  return { ...decision, gatewayAppId, chainId, block: { number: Number(number), hash: hash.slice(2), time } };
}

async function decide(
  call: (name: string, args: readonly unknown[]) => Promise<readonly unknown[]>,
  bootInfo: BootInfo,
): Promise<{ isAllowed: boolean; reason: string }> {
  try {
    const [isAllowed, reason] = await call('isAppAllowed', [bootInfoTuple(bootInfo)]);
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
