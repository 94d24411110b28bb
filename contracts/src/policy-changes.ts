import { type Interface, type JsonRpcApiProvider, keccak256, id as keccakOfText, zeroPadValue } from 'ethers';
import { z } from 'zod';
import { addressOf, dstackAppAbi, dstackKmsAbi } from './abi.js';
import { ask } from './pinned-call.js';
import { PolicyUnavailableError } from './policy-unavailable-error.js';

/** What a change is about: the names whose Keccak-256 `PolicyChanged` carries (dstack-kms §16.5), and the owner. */
export type PolicyName =
  | 'kms-aggregated-mr'
  | 'kms-device'
  | 'os-image'
  | 'gateway-app-id'
  | 'registered-app'
  | 'app-implementation'
  | 'kms-info'
  | 'compose-hash'
  | 'device'
  | 'allow-any-device'
  | 'require-tcb-up-to-date'
  | 'upgrades-disabled'
  | 'implementation-upgrade'
  | 'owner';

/** One change of policy as a contract reported it. Hex without 0x. */
export interface PolicyChange {
  /** The contract that reported it, 20 bytes. */
  readonly address: string;
  readonly name: PolicyName;
  /** 32 bytes: the hash, the address left-padded, Keccak-256 of text or bytes, or 0 for a flag. */
  readonly value: string;
  readonly enabled: boolean;
  readonly block: number;
  /** 32 bytes. */
  readonly blockHash: string;
  /** 32 bytes. */
  readonly transaction: string;
  /** Place of the report within its block. */
  readonly logIndex: number;
}

type Said = { readonly name: PolicyName; readonly value: string; readonly enabled: boolean };
type Decoder = (args: readonly unknown[]) => Said;

const ZERO_WORD = '00'.repeat(32);
const word = (value: unknown) => String(value).slice(2).toLowerCase();
const padded = (address: unknown) => word(zeroPadValue(String(address), 32));
const entry =
  (name: PolicyName, enabled: boolean): Decoder =>
  ([value]) => ({ name, value: word(value), enabled });
const flag =
  (name: PolicyName): Decoder =>
  ([enabled]) => ({ name, value: ZERO_WORD, enabled: enabled === true });
const address =
  (name: PolicyName): Decoder =>
  ([value]) => ({ name, value: padded(value), enabled: padded(value) !== ZERO_WORD });

/** Of both contracts. A policy is also who may change it, and by which code. */
const COMMON: Readonly<Record<string, Decoder>> = {
  Upgraded: address('implementation-upgrade'),
  OwnershipTransferred: ([, owner]) => address('owner')([owner]),
};

/**
 * The events that say one thing each. `PolicyChanged`, which repeats them, is not read: contracts of dstack from before it
 * emit only these. KmsInfoSet names the public key alone, so its value is the Keccak-256 of that key.
 */
const KMS_EVENTS: Readonly<Record<string, Decoder>> = {
  ...COMMON,
  AppRegistered: address('registered-app'),
  KmsInfoSet: ([k256Pubkey]) => ({ name: 'kms-info', value: word(keccak256(String(k256Pubkey))), enabled: true }),
  KmsAggregatedMrAdded: entry('kms-aggregated-mr', true),
  KmsAggregatedMrRemoved: entry('kms-aggregated-mr', false),
  KmsDeviceAdded: entry('kms-device', true),
  KmsDeviceRemoved: entry('kms-device', false),
  OsImageHashAdded: entry('os-image', true),
  OsImageHashRemoved: entry('os-image', false),
  GatewayAppIdSet: ([text]) => ({ name: 'gateway-app-id', value: word(keccakOfText(String(text))), enabled: true }),
  AppImplementationSet: address('app-implementation'),
};

const APP_EVENTS: Readonly<Record<string, Decoder>> = {
  ...COMMON,
  ComposeHashAdded: entry('compose-hash', true),
  ComposeHashRemoved: entry('compose-hash', false),
  DeviceAdded: entry('device', true),
  DeviceRemoved: entry('device', false),
  UpgradesDisabled: () => ({ name: 'upgrades-disabled', value: ZERO_WORD, enabled: true }),
  AllowAnyDeviceSet: flag('allow-any-device'),
  RequireTcbUpToDateSet: flag('require-tcb-up-to-date'),
};

const hex = (bytes: number) => z.string().regex(new RegExp(`^0x[0-9a-fA-F]{${2 * bytes}}$`));
const quantity = z
  .string()
  .regex(/^0x[0-9a-f]{1,13}$/)
  .transform(Number);
const logSchema = z.array(
  z.object({
    address: hex(20),
    topics: z.array(hex(32)).min(1).max(4),
    data: z.string().regex(/^0x([0-9a-fA-F]{2})*$/),
    blockNumber: quantity,
    blockHash: hex(32),
    transactionHash: hex(32),
    logIndex: quantity,
    removed: z.boolean().optional(),
  }),
);

export interface PolicyChangesQuery {
  readonly kind: 'kms' | 'app';
  /** Contracts, 40 hex digits each. */
  readonly addresses: readonly string[];
  /** First and last block, both included. */
  readonly fromBlock: number;
  readonly toBlock: number;
}

/** So many addresses go into one request. */
const ADDRESSES_PER_REQUEST = 500;

/**
 * The changes that these contracts reported in these blocks, in the order of the chain. Throws PolicyUnavailableError
 * when the node does not answer, or answers what is no log of the contracts asked about.
 */
export async function readPolicyChanges(
  provider: JsonRpcApiProvider,
  { kind, addresses, fromBlock, toBlock }: PolicyChangesQuery,
): Promise<PolicyChange[]> {
  const changes: PolicyChange[] = [];
  for (let at = 0; at < addresses.length; at += ADDRESSES_PER_REQUEST) {
    const asked = addresses.slice(at, at + ADDRESSES_PER_REQUEST).map(addressOf);
    const blocks = { fromBlock: `0x${fromBlock.toString(16)}`, toBlock: `0x${toBlock.toString(16)}` };
    const logs = logSchema.safeParse(
      await ask(provider, 'eth_getLogs', [{ address: asked, topics: [topicsOf(kind)], ...blocks }]),
    );
    if (!logs.success) throw new PolicyUnavailableError('eth_getLogs answered what is no list of logs');
    for (const log of logs.data) {
      const isAsked =
        asked.includes(log.address.toLowerCase()) && log.blockNumber >= fromBlock && log.blockNumber <= toBlock;
      if (!isAsked || log.removed === true) throw new PolicyUnavailableError('eth_getLogs answered what was not asked');
      const change = changeOf(kind, log);
      if (change !== undefined) changes.push(change);
    }
  }
  return changes.sort((a, b) => a.block - b.block || a.logIndex - b.logIndex);
}

function changeOf(kind: 'kms' | 'app', log: z.infer<typeof logSchema>[number]): PolicyChange | undefined {
  const parsed = abiOf(kind).parseLog({ topics: log.topics, data: log.data });
  const decoder = parsed === null ? undefined : eventsOf(kind)[parsed.name];
  if (parsed === null || decoder === undefined) return undefined;
  return {
    address: addressOf(log.address).slice(2),
    ...decoder([...parsed.args]),
    block: log.blockNumber,
    blockHash: word(log.blockHash),
    transaction: word(log.transactionHash),
    logIndex: log.logIndex,
  };
}

function topicsOf(kind: 'kms' | 'app'): string[] {
  return Object.keys(eventsOf(kind)).map((name) => {
    const event = abiOf(kind).getEvent(name);
    if (event === null) throw new TypeError(`the ABI has no event ${name}`);
    return event.topicHash;
  });
}

const abiOf = (kind: 'kms' | 'app'): Interface => (kind === 'kms' ? dstackKmsAbi : dstackAppAbi);
const eventsOf = (kind: 'kms' | 'app') => (kind === 'kms' ? KMS_EVENTS : APP_EVENTS);
