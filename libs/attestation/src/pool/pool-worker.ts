import { Worker } from 'node:worker_threads';
import type { QuoteCollateralV3 } from '../collateral/quote-collateral.js';
import type { QuoteVerdict } from '../verify/quote-verdict.js';
import { QuoteVerificationError } from '../verify/quote-verification-error.js';
import type { Numbered } from './collateral-ids.js';
import { type Batch, type BatchResult, ITEM_NUMBERS, type ThreadOptions } from './wire.js';

/** One quote on its way through the pool. */
export interface Job {
  readonly quote: Uint8Array;
  readonly collateral: QuoteCollateralV3;
  readonly nowMs: number;
  readonly resolve: (verdict: QuoteVerdict) => void;
  readonly reject: (error: Error) => void;
}

/** The main thread's end of one pool thread. */
export class PoolWorker {
  private readonly thread: Worker;
  private readonly running = new Map<number, readonly Job[]>();
  private readonly sent = new Set<number>();
  private readonly verdicts: QuoteVerdict[] = [];
  private forget: number[] = [];
  private batches = 0;
  private failure: Error | undefined;
  /** Resolves when the thread has ended, for whatever reason. */
  readonly ended: Promise<void>;

  /**
   * @param settled called after each batch
   * @param died called when the thread ends without having been stopped, with the jobs it leaves behind
   */
  constructor(
    program: URL,
    options: ThreadOptions,
    private readonly settled: () => void,
    died: (jobs: readonly Job[], cause: Error | undefined) => void,
  ) {
    this.thread = new Worker(program, { workerData: options });
    this.thread.unref();
    this.thread.on('message', (result: BatchResult) => this.settle(result));
    this.thread.on('error', (error: Error) => {
      this.failure = error;
    });
    let stopped = false;
    this.stop = () => {
      stopped = true;
      // Whoever waits for the end keeps the process alive until then.
      this.thread.ref();
      this.thread.postMessage('stop');
      return this.ended;
    };
    this.ended = new Promise((resolve) => {
      this.thread.once('exit', () => {
        resolve();
        if (!stopped) died([...this.running.values()].flat(), this.failure);
      });
    });
  }

  /** Ends the thread after what it was given. */
  readonly stop: () => Promise<void>;

  get batchesRunning(): number {
    return this.running.size;
  }

  /** True when at least one batch came back. */
  get proved(): boolean {
    return this.batches > this.running.size;
  }

  /** This collateral will not be used again under its number. */
  forgetCollateral(id: number): void {
    if (this.sent.delete(id)) this.forget.push(id);
  }

  /** @param number gives each set of collateral its number, when it is needed */
  run(jobs: readonly Job[], number: (pieces: QuoteCollateralV3) => Numbered): void {
    const sizeBytes = jobs.reduce((sum, { quote }) => sum + quote.length, 0);
    const bytes = new Uint8Array(sizeBytes);
    const items = new Float64Array(jobs.length * ITEM_NUMBERS);
    const collateral: Numbered[] = [];
    let [at, index] = [0, 0];
    for (const job of jobs) {
      bytes.set(job.quote, at);
      const numbered = number(job.collateral);
      items.set([at, at + job.quote.length, numbered.id, job.nowMs], index);
      at += job.quote.length;
      index += ITEM_NUMBERS;
      if (this.sent.has(numbered.id)) continue;
      this.sent.add(numbered.id);
      collateral.push(numbered);
    }
    this.batches += 1;
    const batch: Batch = { id: this.batches, bytes, items, collateral, forget: this.forget };
    this.forget = [];
    if (this.running.size === 0) this.thread.ref();
    this.running.set(batch.id, jobs);
    this.thread.postMessage(batch, [bytes.buffer, items.buffer]);
  }

  private settle(result: BatchResult): void {
    const jobs = this.running.get(result.id);
    if (jobs === undefined) throw new Error(`unknown batch ${result.id}`);
    this.running.delete(result.id);
    if (this.running.size === 0) this.thread.unref();
    const [verdicts, refused] = [[...result.verdicts].reverse(), [...result.refused].reverse()];
    jobs.forEach((job, index) => {
      const news = verdicts.at(-1);
      if (news?.index === index) {
        verdicts.pop();
        this.verdicts[news.slot] = freeze(news.verdict);
      }
      const slot = result.slots[index] ?? -1;
      const verdict = this.verdicts[slot];
      const refusal = slot < 0 ? refused.pop() : undefined;
      if (refusal !== undefined) {
        const { code, failed, checks, tcbStatus, offset } = refusal;
        job.reject(new QuoteVerificationError({ ok: false, code, failed, checks }, tcbStatus, offset));
      } else if (verdict !== undefined) {
        job.resolve({ ...verdict, notBefore: new Date(verdict.notBefore), notAfter: new Date(verdict.notAfter) });
      } else {
        throw new Error(`batch ${result.id} has no answer to its quote ${index}`);
      }
    });
    this.settled();
  }
}

/** One verdict is handed to many callers: its lists and checks cannot be changed, and its dates are copied. */
function freeze(verdict: QuoteVerdict): QuoteVerdict {
  for (const check of verdict.checks) Object.freeze(check);
  Object.freeze(verdict.checks);
  Object.freeze(verdict.advisoryIds);
  return verdict;
}
