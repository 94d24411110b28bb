import { type JsonRpcApiProvider, zeroPadValue } from 'ethers';
import { addressOf, dstackAppAbi, dstackKmsAbi } from './abi.js';
import { addressOrNull, bareAddress, type KmsOverview, readKmsOverview } from './kms-overview.js';
import { ask, type BlockChoice, type PolicyBlock, pinnedCall, readChainId, readPolicyBlock } from './pinned-call.js';
import { type PolicyName, readPolicyChanges } from './policy-changes.js';

/** Lists of DstackKms at one block; hex without 0x, sorted. */
export interface KmsPolicyState extends KmsOverview {
  readonly osImages: readonly string[];
  readonly aggregatedMrs: readonly string[];
  readonly devices: readonly string[];
  readonly apps: readonly string[];
}

/** What a DstackApp says at one block; hex without 0x, sorted. */
export interface AppPolicyState {
  readonly chainId: number;
  readonly block: PolicyBlock;
  readonly owner: string;
  readonly pendingOwner: string | null;
  readonly isRegistered: boolean;
  readonly allowAnyDevice: boolean;
  readonly requireTcbUpToDate: boolean;
  readonly upgradesDisabled: boolean;
  readonly composeHashes: readonly string[];
  readonly devices: readonly string[];
}

export interface PolicyStateOptions {
  readonly blockTag?: BlockChoice;
  readonly chainId?: number;
  /** Block from which reports are read; that of the deployment or any before. Default 0. */
  readonly fromBlock?: number;
}

const RANGE_BLOCKS = 2_000;
/** Slot 1 of DstackApp: `_upgradesDisabled` is its lowest byte (dstack-kms §16.3). */
const UPGRADES_DISABLED_SLOT = '0x1';

/**
 * Lists cannot be asked of a mapping: the values come from what the contract reported, and each is believed only as far
 * as the getter confirms it at the pinned block. Throws PolicyUnavailableError.
 */
export async function readKmsPolicy(
  provider: JsonRpcApiProvider,
  kms: string,
  options: PolicyStateOptions = {},
): Promise<KmsPolicyState> {
  const overview = await readKmsOverview(provider, kms, options);
  const { block } = overview;
  const call = pinnedCall(provider, { abi: dstackKmsAbi, address: kms, block, contract: 'DstackKms' });
  const named = await namedValues(provider, 'kms', kms, options.fromBlock ?? 0, block.number);
  const confirmed = async (name: PolicyName, getter: string, form: (word: string) => string = (word) => word) => {
    const values = (named.get(name) ?? []).map(form);
    const kept: string[] = [];
    for (const value of values) if ((await call(getter, [`0x${value}`]))[0] === true) kept.push(value);
    return kept.sort();
  };
  return {
    ...overview,
    osImages: await confirmed('os-image', 'allowedOsImages'),
    aggregatedMrs: await confirmed('kms-aggregated-mr', 'kmsAllowedAggregatedMrs'),
    devices: await confirmed('kms-device', 'kmsAllowedDeviceIds'),
    apps: await confirmed('registered-app', 'registeredApps', (word) => word.slice(24)),
  };
}

/** The policy of one app, registered with `kms` or not. Throws PolicyUnavailableError. */
export async function readAppPolicy(
  provider: JsonRpcApiProvider,
  kms: string,
  appId: string,
  options: PolicyStateOptions = {},
): Promise<AppPolicyState> {
  const chainId = await readChainId(provider, options.chainId);
  const block = await readPolicyBlock(provider, options.blockTag ?? 'latest');
  const ofKms = pinnedCall(provider, { abi: dstackKmsAbi, address: kms, block, contract: 'DstackKms' });
  const call = pinnedCall(provider, { abi: dstackAppAbi, address: appId, block, contract: 'DstackApp' });
  const one = async (name: string) => (await call(name))[0];
  const owner = bareAddress(String(await one('owner')));
  const named = await namedValues(provider, 'app', appId, options.fromBlock ?? 0, block.number);
  const confirmed = async (name: PolicyName, getter: string) => {
    const kept: string[] = [];
    for (const value of named.get(name) ?? []) if ((await call(getter, [`0x${value}`]))[0] === true) kept.push(value);
    return kept.sort();
  };
  const at = { blockHash: `0x${block.hash}`, requireCanonical: true };
  const slot = String(await ask(provider, 'eth_getStorageAt', [addressOf(appId), UPGRADES_DISABLED_SLOT, at]));
  return {
    chainId,
    block,
    owner,
    pendingOwner: addressOrNull(String(await one('pendingOwner'))),
    isRegistered: (await ofKms('registeredApps', [addressOf(appId)]))[0] === true,
    allowAnyDevice: (await one('allowAnyDevice')) === true,
    requireTcbUpToDate: (await one('requireTcbUpToDate')) === true,
    upgradesDisabled: zeroPadValue(slot, 32).endsWith('01'),
    composeHashes: await confirmed('compose-hash', 'allowedComposeHashes'),
    devices: await confirmed('device', 'allowedDeviceIds'),
  };
}

/** Every value that was ever reported under each name, once. */
async function namedValues(
  provider: JsonRpcApiProvider,
  kind: 'kms' | 'app',
  address: string,
  fromBlock: number,
  lastBlock: number,
): Promise<Map<PolicyName, string[]>> {
  const named = new Map<PolicyName, Set<string>>();
  for (let at = fromBlock; at <= lastBlock; at += RANGE_BLOCKS) {
    const toBlock = Math.min(lastBlock, at + RANGE_BLOCKS - 1);
    for (const { name, value } of await readPolicyChanges(provider, {
      ...{ kind, addresses: [address], fromBlock: at, toBlock },
    })) {
      named.set(name, (named.get(name) ?? new Set()).add(value));
    }
  }
  return new Map([...named].map(([name, values]) => [name, [...values]]));
}
