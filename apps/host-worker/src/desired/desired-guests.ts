import { type KvEntry, Kvm, type KvWatchEntry } from '@nats-io/kv';
import type { NatsConnection } from '@nats-io/transport-node';
import { appId, composeHashOf, type DesiredGuest, desiredGuestSchema, instanceIdOf } from '@vouch/domain';
import { asError, backOffMs, type FieldLogger, pause } from '@vouch/platform';
import { z } from 'zod';
import type { Wish } from '../reconcile/next-action.js';
import type { Wishes } from '../reconcile/reconciler.js';

const RELIST_MS = 30_000;
const RETRY_LIMIT_MS = 5000;
/**
 * A key that is missing without a deletion mark may mean that the bucket was lost and is being rebuilt: a guest is taken
 * as gone only after this many full lists in a row without it (5 minutes).
 */
const MISSES_UNTIL_GONE = 10;

/**
 * The desired guests of one host from the KV bucket `desired` (`<hostId>.<instanceId>`): a watch makes changes quick, a
 * full list every 30 seconds makes them certain. An unusable value counts as unknown, which leaves a running guest alone.
 */
export class DesiredGuests implements Wishes {
  readonly #wishes = new Map<string, Wish>();
  readonly #misses = new Map<string, number>();
  readonly #versions = new Map<string, Version>();
  readonly #abort = new AbortController();
  #listener: (instanceId: string) => void = () => undefined;
  #hasListed = false;
  #running: Promise<unknown> = Promise.resolve();
  #stopWatch: () => void = () => undefined;

  constructor(
    private readonly connection: NatsConnection,
    private readonly hostId: string,
    private readonly logger: FieldLogger,
  ) {}

  /** `onListed` hears of the first complete list. */
  start(onListed: () => void): void {
    this.#running = Promise.all([this.#watchForEver(), this.#listForEver(onListed)]);
  }

  async close(): Promise<void> {
    this.#abort.abort();
    this.#stopWatch();
    await this.#running;
  }

  get(instanceId: string): Wish {
    const known = this.#wishes.get(instanceId);
    if (known !== undefined) return known;
    // Never seen under this host's keys: gone once a whole list has been read, except for a lost bucket.
    return this.#hasListed && this.#isMissed(instanceId) ? { kind: 'gone' } : { kind: 'unknown' };
  }

  ids(): Iterable<string> {
    return this.#wishes.keys();
  }

  onChange(listener: (instanceId: string) => void): void {
    this.#listener = listener;
  }

  /** Instances the worker has guests of: a list must say something about each. */
  trackedIds: () => readonly string[] = () => [];

  async #listForEver(onListed: () => void): Promise<void> {
    const { signal } = this.#abort;
    for (let attempt = 1; !signal.aborted; ) {
      try {
        await this.#list();
        if (!this.#hasListed) {
          this.#hasListed = true;
          onListed();
        }
        attempt = 1;
        await pause(RELIST_MS, signal);
      } catch (error) {
        if (signal.aborted) return;
        this.logger.warn({ err: asError(error).message }, 'the desired guests could not be listed');
        await pause(backOffMs(attempt, 250, RETRY_LIMIT_MS), signal);
        attempt += 1;
      }
    }
  }

  async #list(): Promise<void> {
    const bucket = await this.#bucket();
    const present = new Set<string>();
    for await (const key of await bucket.keys(`${this.hostId}.>`)) present.add(this.#instanceOf(key));
    for (const instanceId of new Set([...present, ...this.#wishes.keys(), ...this.trackedIds()])) {
      const entry = await bucket.get(`${this.hostId}.${instanceId}`);
      if (entry === null) this.#missed(instanceId);
      else this.#take(instanceId, entry);
    }
  }

  async #watchForEver(): Promise<void> {
    const { signal } = this.#abort;
    for (let attempt = 1; !signal.aborted; attempt += 1) {
      try {
        const bucket = await this.#bucket();
        const updates = await bucket.watch({ key: `${this.hostId}.>` });
        this.#stopWatch = () => updates.stop();
        attempt = 1;
        for await (const entry of updates) this.#take(this.#instanceOf(entry.key), entry);
      } catch (error) {
        if (!signal.aborted) this.logger.warn({ err: asError(error).message }, 'the desired guests cannot be watched');
      }
      await pause(backOffMs(attempt, 250, RETRY_LIMIT_MS), signal);
    }
  }

  async #bucket() {
    return await new Kvm(this.connection).open('desired', { allow_direct: true });
  }

  #take(instanceId: string, entry: KvEntry | KvWatchEntry): void {
    this.#misses.delete(instanceId);
    // The list and the watch race: what a get answered may be older than what the watch has brought meanwhile.
    const version = { at: entry.created.getTime(), revision: entry.revision };
    if (isOlder(version, this.#versions.get(instanceId))) return;
    this.#versions.set(instanceId, version);
    const wish: Wish = entry.operation === 'PUT' ? this.#read(instanceId, entry) : { kind: 'gone' };
    this.#set(instanceId, wish);
  }

  #missed(instanceId: string): void {
    const misses = (this.#misses.get(instanceId) ?? 0) + 1;
    this.#misses.set(instanceId, misses);
    if (this.#isMissed(instanceId)) this.#set(instanceId, { kind: 'gone' });
    else this.logger.warn({ instanceId, misses }, 'a guest of this host has no desired entry and no deletion mark');
  }

  #isMissed(instanceId: string): boolean {
    return (this.#misses.get(instanceId) ?? 0) >= MISSES_UNTIL_GONE;
  }

  #set(instanceId: string, wish: Wish): void {
    const before = this.#wishes.get(instanceId);
    this.#wishes.set(instanceId, wish);
    if (JSON.stringify(before) !== JSON.stringify(wish)) this.#listener(instanceId);
  }

  #read(instanceId: string, entry: KvEntry): Wish {
    const reading = readDesiredGuest(instanceId, entry.string());
    if (reading.ok) return { kind: 'known', guest: reading.guest };
    this.logger.error({ instanceId, reason: reading.reason }, 'a desired guest is unusable');
    return { kind: 'unknown' };
  }

  #instanceOf(key: string): string {
    return key.slice(this.hostId.length + 1);
  }
}

/** Which write of a key an entry is. The time comes first: revisions start again when a bucket was lost and rebuilt. */
interface Version {
  readonly at: number;
  readonly revision: number;
}

function isOlder(version: Version, known: Version | undefined): boolean {
  if (known === undefined) return false;
  return version.at === known.at ? version.revision < known.revision : version.at < known.at;
}

export type DesiredReading =
  | { readonly ok: true; readonly guest: DesiredGuest }
  | { readonly ok: false; readonly reason: string };

/** Parses a desired entry and checks what can be derived: compose hash and instance id. */
export function readDesiredGuest(instanceId: string, text: string): DesiredReading {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return { ok: false, reason: 'the value is not JSON' };
  }
  const parsed = desiredGuestSchema.safeParse(json);
  if (!parsed.success) return { ok: false, reason: z.prettifyError(parsed.error) };
  const guest = parsed.data;
  if (guest.instanceId !== instanceId) return { ok: false, reason: `instanceId is ${guest.instanceId}` };
  if (composeHashOf(Buffer.from(guest.appCompose)) !== guest.composeHash) {
    return { ok: false, reason: 'composeHash is not the hash of appCompose' };
  }
  if (instanceIdOf(guest.seed, appId(guest.appId)) !== guest.instanceId) {
    return { ok: false, reason: 'instanceId does not follow from seed and appId' };
  }
  return { ok: true, guest };
}
