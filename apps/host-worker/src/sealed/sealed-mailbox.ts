import type { NatsConnection, Subscription } from '@nats-io/transport-node';
import { type FieldLogger, pause } from '@vouch/platform';
import { readSubject } from './read-subject.js';

/** The stream keeps a message ten minutes; so does this memory. */
const KEEP_MS = 10 * 60_000;
const MAX_KEPT_BYTES = 64 * 1024 * 1024;
const READ_AGAIN_MS = 3_000;

interface Kept {
  readonly text: string;
  readonly at: number;
}

/**
 * Sealed decisions on their way to this host's guests. What arrives is kept in memory by request id; what is not there
 * is looked for in the stream, so that a decision that came while no worker ran is found as well. Nothing is opened or
 * believed here: only the guest can check and open it.
 */
export class SealedMailbox {
  readonly #kept = new Map<string, Kept>();
  readonly #waiting = new Map<string, Set<() => void>>();
  #keptBytes = 0;
  #subscription: Subscription | undefined;

  constructor(
    private readonly connection: NatsConnection,
    private readonly hostId: string,
    private readonly monotonicMs: () => number,
    private readonly logger: FieldLogger,
  ) {}

  start(): void {
    this.#subscription = this.connection.subscribe(`sealed.${this.hostId}.>`, {
      callback: (error, message) => {
        if (error !== null) {
          this.logger.error({ err: error.message }, 'sealed decisions cannot be received; they are read on demand');
          return;
        }
        this.#take(message.subject, message.string());
      },
    });
  }

  close(): void {
    this.#subscription?.unsubscribe();
    for (const waiters of this.#waiting.values()) for (const wake of waiters) wake();
  }

  /** The decision's JSON text, or undefined when none came within `waitMs`. */
  async wait(instanceId: string, requestId: string, waitMs: number, signal: AbortSignal): Promise<string | undefined> {
    const key = keyOf(this.#subject(instanceId), requestId);
    const deadline = this.monotonicMs() + waitMs;
    for (;;) {
      const kept = this.#kept.get(key);
      if (kept !== undefined) return kept.text;
      await this.#readStream(instanceId);
      const found = this.#kept.get(key);
      if (found !== undefined) return found.text;
      const left = deadline - this.monotonicMs();
      if (left <= 0 || signal.aborted) return undefined;
      await this.#change(key, Math.min(left, READ_AGAIN_MS), signal);
    }
  }

  /** Drops what a removed guest will not fetch. */
  forget(instanceId: string): void {
    const prefix = keyOf(this.#subject(instanceId), '');
    for (const key of this.#kept.keys()) if (key.startsWith(prefix)) this.#drop(key);
  }

  async #readStream(instanceId: string): Promise<void> {
    try {
      const subject = this.#subject(instanceId);
      for (const text of await readSubject(this.connection, 'SEALED', subject)) this.#take(subject, text);
    } catch (error) {
      this.logger.warn({ instanceId, err: (error as Error).message }, 'sealed decisions could not be read');
    }
  }

  #take(subject: string, text: string): void {
    const requestId = requestIdOf(text);
    if (requestId === undefined) {
      this.logger.warn({ subject }, 'a sealed decision without a request id was ignored');
      return;
    }
    const key = keyOf(subject, requestId);
    this.#drop(key);
    this.#kept.set(key, { text, at: this.monotonicMs() });
    this.#keptBytes += text.length;
    this.#prune();
    for (const wake of this.#waiting.get(key) ?? []) wake();
  }

  #prune(): void {
    const oldest = this.monotonicMs() - KEEP_MS;
    for (const [key, { at }] of this.#kept) {
      if (at >= oldest && this.#keptBytes <= MAX_KEPT_BYTES) return;
      this.#drop(key);
    }
  }

  #drop(key: string): void {
    const kept = this.#kept.get(key);
    if (kept === undefined) return;
    this.#keptBytes -= kept.text.length;
    this.#kept.delete(key);
  }

  async #change(key: string, ms: number, signal: AbortSignal): Promise<void> {
    const timer = new AbortController();
    const waiters = this.#waiting.get(key) ?? new Set();
    this.#waiting.set(key, waiters);
    let wake: () => void = () => undefined;
    const woken = new Promise<void>((resolve) => {
      wake = resolve;
    });
    waiters.add(wake);
    await Promise.race([woken, pause(ms, AbortSignal.any([timer.signal, signal]))]);
    timer.abort();
    waiters.delete(wake);
    if (waiters.size === 0) this.#waiting.delete(key);
  }

  #subject(instanceId: string): string {
    return `sealed.${this.hostId}.${instanceId}`;
  }
}

function keyOf(subject: string, requestId: string): string {
  return `${subject}/${requestId}`;
}

function requestIdOf(text: string): string | undefined {
  try {
    const { requestId } = JSON.parse(text) as { requestId?: unknown };
    return typeof requestId === 'string' ? requestId : undefined;
  } catch {
    return undefined;
  }
}
