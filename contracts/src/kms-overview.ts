import { type JsonRpcApiProvider, ZeroAddress } from 'ethers';
import { addressOf, dstackKmsAbi } from './abi.js';
import { type BlockChoice, type PolicyBlock, pinnedCall, readChainId, readPolicyBlock } from './pinned-call.js';

/** What DstackKms says of itself at one block. Addresses are 40 hex digits. */
export interface KmsOverview {
  readonly chainId: number;
  readonly block: PolicyBlock;
  readonly owner: string;
  /** Null while no transfer of ownership is under way. */
  readonly pendingOwner: string | null;
  readonly gatewayAppId: string;
  /** Null while the app factory has no implementation. */
  readonly appImplementation: string | null;
}

/** Reads it, all at one block. Throws PolicyUnavailableError. */
export async function readKmsOverview(
  provider: JsonRpcApiProvider,
  kms: string,
  options: { readonly blockTag?: BlockChoice; readonly chainId?: number } = {},
): Promise<KmsOverview> {
  const chainId = await readChainId(provider, options.chainId);
  const block = await readPolicyBlock(provider, options.blockTag ?? 'latest');
  const call = pinnedCall(provider, { abi: dstackKmsAbi, address: kms, block, contract: 'DstackKms' });
  const one = async (name: string) => String((await call(name))[0]);
  return {
    chainId,
    block,
    owner: bareAddress(await one('owner')),
    pendingOwner: addressOrNull(await one('pendingOwner')),
    gatewayAppId: await one('gatewayAppId'),
    appImplementation: addressOrNull(await one('appImplementation')),
  };
}

/** 40 hex digits of an address. */
export function bareAddress(address: string): string {
  return addressOf(address).slice(2);
}

/** Null for the zero address. */
export function addressOrNull(address: string): string | null {
  return address === ZeroAddress ? null : bareAddress(address);
}
