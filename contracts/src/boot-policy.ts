import { isError, type JsonRpcApiProvider } from 'ethers';
import { addressOf, dstackKmsAbi } from './abi.js';
import type { BootDecision, BootInfo, BootKind } from './boot-info.js';
import {
  type BlockChoice,
  type PinnedCall,
  type PolicyBlock,
  pinnedCall,
  readChainId,
  readPolicyBlock,
} from './pinned-call.js';

/** A contract's decision and the block it was read at. */
export interface BootPolicy extends BootDecision {
  readonly chainId: number;
  readonly block: PolicyBlock;
}

export interface ReadBootPolicyOptions {
  readonly blockTag?: BlockChoice;
  /** Whose boot is asked about; `app` when absent. */
  readonly kind?: BootKind;
  /** The chain that must answer; another one is as good as none. */
  readonly chainId?: number;
}

/**
 * Asks DstackKms at `kms` whether the app (or key server) may boot, with every call pinned to one block. A revert of a
 * contract is a refusal with that reason. Throws PolicyUnavailableError when the chain cannot be asked.
 */
export async function readBootPolicy(
  provider: JsonRpcApiProvider,
  kms: string,
  bootInfo: BootInfo,
  options: ReadBootPolicyOptions = {},
): Promise<BootPolicy> {
  const chainId = await readChainId(provider, options.chainId);
  const block = await readPolicyBlock(provider, options.blockTag ?? 'latest');
  const call = pinnedCall(provider, { abi: dstackKmsAbi, address: kms, block, contract: 'DstackKms' });
  const decision = await decide(call, options.kind ?? 'app', bootInfo);
  const gatewayAppId = String((await call('gatewayAppId'))[0]);
  return { ...decision, gatewayAppId, chainId, block };
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
