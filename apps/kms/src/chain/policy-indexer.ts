import {
  type jsonRpcProvider,
  type PolicyBlock,
  type PolicyChange,
  PolicyUnavailableError,
  readChainId,
  readPolicyBlock,
  readPolicyChanges,
} from '@vouch/contracts';
import type { EventStore } from '@vouch/eventstore';
import type { EventWriter } from '@vouch/platform';
import { type PolicyAnchoring, PolicyLog } from './policy-log.js';

export interface PolicyIndexerOptions {
  readonly provider: ReturnType<typeof jsonRpcProvider>;
  /** DstackKms, 40 hex digits. */
  readonly contract: string;
  /** The chain it must be; absent: the one that answers first. */
  readonly chainId?: number;
  /** Only blocks with so many on top of them are read; 0: the head too. */
  readonly confirmations: number;
  /** Block from which contracts are looked at: that of the deployment, or any before. */
  readonly startBlock: number;
  /** Most blocks asked for in one request. */
  readonly rangeBlocks: number;
  readonly store: EventStore;
  readonly writer: EventWriter;
}

export interface IndexedRange {
  /** Last block that is in the log now. */
  readonly block: number;
  readonly logged: number;
  readonly orphaned: number;
}

/**
 * Turns what DstackKms and the apps registered with it report into `policy.changed` events: every report once, in the
 * order of the chain for each contract, without a gap. It resumes at the block of the last logged change, which it reads
 * again whole, and needs no state besides the log.
 *
 * Why no gap: reports are logged in chain order, and an app's own history, part of which lies before its registration, is
 * logged right after the registration and before any later block. So whatever was logged last, everything up to the block
 * before it is logged too.
 */
export class PolicyIndexer {
  #chainId: number | undefined;
  #log: PolicyLog | undefined;
  /** Next block to read. */
  #next = 0;
  /** The block up to which everything was read by this process. */
  #read: PolicyBlock | undefined;
  /** Apps whose history is logged up to `#next`. */
  readonly #apps = new Set<string>();

  constructor(private readonly options: PolicyIndexerOptions) {
    this.#chainId = options.chainId;
  }

  /**
   * Logs what is new up to the newest block with enough confirmations. Throws retryable errors (node or log away, another
   * replica faster, chain moved while it was read); nothing is lost then: the next call starts from the log.
   */
  async index(): Promise<IndexedRange> {
    try {
      return await this.#index();
    } catch (error) {
      if (error instanceof PolicyUnavailableError && this.#log !== undefined) this.#startFrom(this.#log);
      else this.#log = undefined;
      throw error;
    }
  }

  async #index(): Promise<IndexedRange> {
    const { provider, contract, confirmations, rangeBlocks } = this.options;
    const chainId = await readChainId(provider, this.#chainId);
    this.#chainId = chainId;
    this.#log ??= await this.#resume({ chainId, contract });
    const target = await readPolicyBlock(provider, { confirmations });
    const orphaned = await this.#dropOrphans(this.#log, target);
    if (orphaned > 0 || (await this.#isReplaced(this.#read))) this.#startFrom(this.#log);
    let logged = 0;
    while (this.#next <= target.number) {
      const to = Math.min(target.number, this.#next + rangeBlocks - 1);
      logged += await this.#indexRange(this.#log, this.#next, to);
    }
    // One hash stands for all blocks before it: what was read meanwhile is of this chain.
    if (await this.#isReplaced(target)) {
      throw new PolicyUnavailableError(`block ${target.number} was replaced while the blocks before it were read`);
    }
    this.#read = target;
    return { block: target.number, logged, orphaned };
  }

  async #resume(anchoring: PolicyAnchoring): Promise<PolicyLog> {
    const { store, writer } = this.options;
    const log = await PolicyLog.read(anchoring, store, writer);
    this.#startFrom(log);
    return log;
  }

  /** The block of the newest logged change is read again: it may have been logged in part. */
  #startFrom(log: PolicyLog): void {
    this.#next = log.newest?.block ?? this.options.startBlock;
    this.#read = undefined;
    this.#apps.clear();
    for (const [app, block] of log.registrations()) if (block < this.#next) this.#apps.add(app);
  }

  /** A block without reports can be replaced by one with some: then what was read after the last change is read again. */
  async #isReplaced(block: PolicyBlock | undefined): Promise<boolean> {
    if (block === undefined) return false;
    return (await readPolicyBlock(this.options.provider, block.number)).hash !== block.hash;
  }

  /** From the newest backwards: one that is on the chain proves all before it. Answers how many are not. */
  async #dropOrphans(log: PolicyLog, target: PolicyBlock): Promise<number> {
    for (let dropped = 0; ; dropped += 1) {
      const { newest } = log;
      if (newest === undefined) return dropped;
      if (newest.block > target.number) {
        throw new PolicyUnavailableError(
          `the node is at block ${target.number}, before block ${newest.block} of the last logged change`,
        );
      }
      const canonical = await readPolicyBlock(this.options.provider, newest.block);
      if (canonical.hash === newest.blockHash) return dropped;
      await log.orphan(newest, canonical.hash);
    }
  }

  /** Logs the reports of blocks `from` to `to`, or up to the first block that registers a new app. */
  async #indexRange(log: PolicyLog, from: number, to: number): Promise<number> {
    const { contract } = this.options;
    const ofKms = await this.#changes('kms', [contract], from, to);
    const registration = ofKms.find((change) => this.#newApp(change) !== undefined);
    const end = registration?.block ?? to;
    const ofApps = await this.#changes('app', [...this.#apps], from, end);
    const changes = [...ofKms.filter(({ block }) => block <= end), ...ofApps];
    changes.sort((a, b) => a.block - b.block || a.logIndex - b.logIndex);
    let logged = 0;
    for (const change of changes) {
      logged += await this.#append(log, change);
      const app = this.#newApp(change);
      if (app === undefined) continue;
      this.#apps.add(app);
      for (const earlier of await this.#changes('app', [app], this.options.startBlock, end)) {
        logged += await this.#append(log, earlier);
      }
    }
    this.#next = end + 1;
    return logged;
  }

  /** In steps of the range: an app's history can be longer than one request may ask for. */
  async #changes(kind: 'kms' | 'app', addresses: string[], from: number, to: number): Promise<PolicyChange[]> {
    const { provider, rangeBlocks } = this.options;
    if (addresses.length === 0) return [];
    const changes: PolicyChange[] = [];
    for (let at = from; at <= to; at += rangeBlocks) {
      const toBlock = Math.min(to, at + rangeBlocks - 1);
      changes.push(...(await readPolicyChanges(provider, { kind, addresses, fromBlock: at, toBlock })));
    }
    return changes;
  }

  async #append(log: PolicyLog, change: PolicyChange): Promise<0 | 1> {
    if (log.has(change)) return 0;
    const block = await readPolicyBlock(this.options.provider, change.block);
    if (block.hash !== change.blockHash) {
      throw new PolicyUnavailableError(`block ${change.block} was replaced while it was read`);
    }
    await log.append(change, block.time);
    return 1;
  }

  /** The app that a change registers for the first time. */
  #newApp({ name, value }: PolicyChange): string | undefined {
    const app = value.slice(24);
    return name === 'registered-app' && !this.#apps.has(app) ? app : undefined;
  }
}
