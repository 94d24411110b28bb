import { availableParallelism } from 'node:os';
import type { QuoteCollateralV3 } from '../collateral/quote-collateral.js';
import { takePieces } from '../verify/collateral-generation.js';
import type { QuoteVerdict } from '../verify/quote-verdict.js';
import { QuoteVerificationError } from '../verify/quote-verification-error.js';
import { QuoteVerifier, type QuoteVerifierOptions, type VerifierInput } from '../verify/quote-verifier.js';
import { CollateralIds } from './collateral-ids.js';
import { type Job, PoolWorker } from './pool-worker.js';
import { QuoteVerifierPoolError } from './quote-verifier-pool-error.js';

export interface QuoteVerifierPoolOptions extends QuoteVerifierOptions {
  /** Default: as many as the machine runs at once. */
  readonly threads?: number;
  /** Quotes that may wait for a thread; default 4096. More are refused with `POOL_FULL`. */
  readonly queueMax?: number;
}

/** What became of one quote of `verifyAll`. */
export type PoolOutcome =
  | { readonly ok: true; readonly verdict: QuoteVerdict }
  | { readonly ok: false; readonly error: QuoteVerificationError };

/** Quotes handed to a thread at once, and how many such batches a thread has at hand. */
const BATCH_MAX = 64;
const BATCHES_PER_THREAD = 2;
/** A thread that dies before it has answered anything is started again this often in a row, then the pool gives up. */
const STILLBORN_MAX = 3;
/** Sets of collateral the threads know at a time. */
const COLLATERAL_MAX = 16;

/**
 * Verifies quotes in bulk on worker threads, each with a `QuoteVerifier` of its own: the same verdicts and the same
 * refusals, in less time. Idle threads do not keep the process alive; `close` ends them after what was accepted.
 */
export class QuoteVerifierPool implements AsyncDisposable {
  private readonly options: QuoteVerifierOptions;
  private readonly queueMax: number;
  private readonly ids = new CollateralIds(COLLATERAL_MAX);
  private readonly local: QuoteVerifier;
  private queue: Job[] = [];
  private workers: PoolWorker[] = [];
  private stillborn = 0;
  private flushing = false;
  private closing: Promise<void> | undefined;
  private drained: (() => void) | undefined;

  /** @param program what the threads run; only a test of their death gives another */
  constructor(
    options: QuoteVerifierPoolOptions = {},
    private readonly program = new URL('./pool-thread.js', import.meta.url),
  ) {
    const { threads = availableParallelism(), queueMax = 4096, ...verifier } = options;
    if (!Number.isInteger(threads) || threads < 1)
      throw new RangeError(`a pool has at least one thread, not ${threads}`);
    this.queueMax = queueMax;
    this.options = verifier;
    this.local = new QuoteVerifier({ ...verifier, collateralMax: 0 });
    for (let i = 0; i < threads; i += 1) this.workers.push(this.start());
  }

  /**
   * The verdict of `QuoteVerifier.verify`, without the quote itself. The quote's bytes are copied at once.
   * @throws QuoteVerificationError for every refusal
   * @throws QuoteVerifierPoolError `POOL_FULL`, `POOL_CLOSED`, `POOL_THREAD_DIED`: nothing is known about the quote
   * @throws RangeError when `now` is not a time
   */
  verify({ quote, collateral, now }: VerifierInput): Promise<QuoteVerdict> {
    if (this.closing !== undefined) return Promise.reject(closed());
    if (this.workers.length === 0) {
      return Promise.reject(new QuoteVerifierPoolError('POOL_THREAD_DIED', 'no verifier thread can be started'));
    }
    if (this.queue.length >= this.queueMax) {
      const error = new QuoteVerifierPoolError('POOL_FULL', `${this.queue.length} quotes wait for a thread`);
      return Promise.reject(error);
    }
    const pieces = sendable(collateral);
    // What cannot be sent is refused here, in the words of the verifier.
    if (pieces === null || Number.isNaN(now.getTime())) {
      return Promise.resolve().then(() => withoutQuote(this.local.verify({ quote, collateral, now })));
    }
    return new Promise((resolve, reject) => {
      this.queue.push({ quote: new Uint8Array(quote), collateral: pieces, nowMs: now.getTime(), resolve, reject });
      this.flushSoon();
    });
  }

  /**
   * Every quote of a source, in its order. Takes from the source only what the threads have room for.
   * @throws QuoteVerifierPoolError and RangeError as `verify`
   */
  async *verifyAll(
    inputs: Iterable<VerifierInput> | AsyncIterable<VerifierInput>,
  ): AsyncGenerator<PoolOutcome, void, undefined> {
    const room = Math.min(this.queueMax, this.workers.length * BATCH_MAX * (BATCHES_PER_THREAD + 1));
    const running: Promise<PoolOutcome | { readonly thrown: unknown }>[] = [];
    for await (const input of inputs) {
      running.push(this.verify(input).then(accepted, refusedOrThrown));
      if (running.length >= room) yield outcomeOf(await running.shift());
    }
    while (running.length > 0) yield outcomeOf(await running.shift());
  }

  /** Refuses new quotes, answers those it has, ends the threads. May be called more than once. */
  close(): Promise<void> {
    this.closing ??= this.drain().then(async () => {
      await Promise.all(this.workers.map((worker) => worker.stop()));
    });
    return this.closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private async drain(): Promise<void> {
    if (this.isIdle()) return;
    await new Promise<void>((resolve) => {
      this.drained = resolve;
    });
  }

  private isIdle(): boolean {
    return this.queue.length === 0 && this.workers.every(({ batchesRunning }) => batchesRunning === 0);
  }

  private start(): PoolWorker {
    const worker: PoolWorker = new PoolWorker(
      this.program,
      this.options,
      () => {
        this.stillborn = 0;
        this.flush();
      },
      (jobs, cause) => this.replace(worker, jobs, cause),
    );
    return worker;
  }

  private replace(dead: PoolWorker, jobs: readonly Job[], cause: Error | undefined): void {
    if (!dead.proved) this.stillborn += 1;
    const error = new QuoteVerifierPoolError('POOL_THREAD_DIED', 'a verifier thread ended unexpectedly', { cause });
    for (const job of jobs) job.reject(error);
    this.workers = this.workers.filter((worker) => worker !== dead);
    if (this.stillborn <= STILLBORN_MAX) this.workers.push(this.start());
    if (this.workers.length === 0) {
      for (const job of this.queue.splice(0)) job.reject(error);
    }
    this.flush();
  }

  /** Quotes asked for in one turn of the event loop go out together. */
  private flushSoon(): void {
    if (this.flushing) return;
    this.flushing = true;
    setImmediate(() => {
      this.flushing = false;
      this.flush();
    });
  }

  /** Hands out what waits, spread evenly while there is less than a batch for every thread. */
  private flush(): void {
    const number = (pieces: QuoteCollateralV3) => this.ids.idOf(pieces, (id) => this.forget(id));
    while (this.queue.length > 0) {
      const [idlest] = [...this.workers].sort((a, b) => a.batchesRunning - b.batchesRunning);
      if (idlest === undefined || idlest.batchesRunning >= BATCHES_PER_THREAD) break;
      const share = Math.ceil(this.queue.length / this.workers.length);
      idlest.run(this.queue.splice(0, Math.min(BATCH_MAX, share)), number);
    }
    if (this.isIdle()) this.drained?.();
  }

  private forget(id: number): void {
    for (const worker of this.workers) worker.forgetCollateral(id);
  }
}

/** The pieces when they are strings, as a thread can take them; null when the verifier has to refuse them. */
function sendable(collateral: QuoteCollateralV3): QuoteCollateralV3 | null {
  const value: unknown = collateral;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
  const pieces = takePieces(collateral);
  return Object.values(pieces).every((piece) => typeof piece === 'string') ? pieces : null;
}

function withoutQuote({ verified: _, ...verdict }: QuoteVerdict & { readonly verified: unknown }): QuoteVerdict {
  return verdict;
}

function closed(): QuoteVerifierPoolError {
  return new QuoteVerifierPoolError('POOL_CLOSED', 'the pool is closed');
}

const accepted = (verdict: QuoteVerdict): PoolOutcome => ({ ok: true, verdict });

function refusedOrThrown(error: unknown): PoolOutcome | { readonly thrown: unknown } {
  return error instanceof QuoteVerificationError ? { ok: false, error } : { thrown: error };
}

function outcomeOf(settled: PoolOutcome | { readonly thrown: unknown } | undefined): PoolOutcome {
  if (settled === undefined) throw new Error('unreachable: the window of running quotes is not empty');
  if ('thrown' in settled) throw settled.thrown;
  return settled;
}
