import { setTimeout as sleep } from 'node:timers/promises';
import type { AgentLog } from '../agent-log.js';
import type { HostClient } from './host-client.js';
import { UnixRequestError } from './unix-json.js';

/** Limit of vm.boot-progressed, in characters. */
const MAX_DETAIL_CHARS = 2000;
const TRIES = 4;
const BETWEEN_TRIES_MS = 250;

/**
 * Tells the host about each step, in order, without holding the boot up: reports queue behind each other, a report the
 * host does not take is tried a few times and then dropped (it is for people to read, nothing depends on it).
 */
export class ProgressReporter {
  #queue: Promise<void> = Promise.resolve();
  readonly #ended = new AbortController();

  constructor(
    private readonly host: HostClient,
    private readonly log: AgentLog,
  ) {}

  report(step: string, detail: string): void {
    this.log.info(`step: ${step}`, { step, detail });
    this.#queue = this.#queue.then(() => this.#deliver(step, detail.slice(0, MAX_DETAIL_CHARS)));
  }

  /** Waits until the reports so far are delivered or given up, at most `timeoutMs`; later ones are not sent. */
  async flush(timeoutMs: number): Promise<void> {
    const timer = new AbortController();
    await Promise.race([this.#queue, sleep(timeoutMs, undefined, { signal: timer.signal }).catch(() => undefined)]);
    timer.abort();
    this.#ended.abort();
  }

  async #deliver(step: string, detail: string): Promise<void> {
    for (let tried = 1; tried <= TRIES && !this.#ended.signal.aborted; tried += 1) {
      try {
        await this.host.progress(step, detail, this.#ended.signal);
        return;
      } catch (error) {
        if (!(error instanceof UnixRequestError && error.retryable) || tried === TRIES) {
          this.log.warn('the host did not take a progress report', { step, error: (error as Error).message });
          return;
        }
        await sleep(BETWEEN_TRIES_MS * tried, undefined, { signal: this.#ended.signal }).catch(() => undefined);
      }
    }
  }
}
