import { asError, backOffMs, type FieldLogger, pause } from '@vouch/platform';
import { createPostgresBackend, Queue, Worker } from 'bullmq';
import type { ControlApiConfig } from '../config/control-api-config.js';

/** Name of the queue; job names below. */
const QUEUE = 'operations';
const DEADLINE_JOB = 'deadline';
const RECONCILE_JOB = 'reconcile';

interface OperationJobs {
  /** An operation's deadline has passed. */
  readonly onDeadline: (operationId: string) => Promise<void>;
  /** Time to compare everything with the log, and to recreate what was lost. */
  readonly onReconcile: () => Promise<void>;
}

interface QueueParts {
  readonly jobs: ControlApiConfig['jobs'];
  readonly handlers: OperationJobs;
  readonly logger: FieldLogger;
  /** Milliseconds between two reconciliations. */
  readonly reconcileEveryMs: number;
}

/** Both classes of a backend, or neither. */
interface Session {
  readonly queue: Queue;
  readonly worker: Worker;
}

/**
 * Timers that survive a restart: a delayed job per operation deadline and a repeating reconciliation, on Postgres or
 * Redis. Nothing depends on them for correctness; a queue that is down or was emptied only costs delay, so no request
 * waits for it and every failure here is logged and tried again.
 */
export class OperationQueue {
  readonly #abort = new AbortController();
  #watchdog: NodeJS.Timeout | undefined;
  #reconciledAtMs = performance.now();
  #session: Session | undefined;
  #running: Promise<void> | undefined;

  constructor(private readonly parts: QueueParts) {}

  get state(): 'connected' | 'connecting' {
    return this.#session === undefined ? 'connecting' : 'connected';
  }

  start(): void {
    this.#running ??= this.#connect();
    this.#watchdog ??= setInterval(() => void this.#watch(), this.parts.reconcileEveryMs);
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    clearInterval(this.#watchdog);
    await this.#running;
    const session = this.#session;
    this.#session = undefined;
    if (session !== undefined) await close(session);
  }

  /**
   * Asks for `onDeadline` at `deadline`. One job per operation; a job that is lost is made again by the next reconcile.
   * Resolves once the job is stored or was given up; never rejects, so that nobody has to wait.
   */
  async scheduleDeadline(operationId: string, deadline: Date): Promise<void> {
    const { queue } = this.#session ?? {};
    if (queue === undefined) return;
    // A little later than the deadline itself, so that the clock has passed it when the job runs.
    const delay = Math.max(0, deadline.getTime() - Date.now()) + 50;
    try {
      await queue.add(DEADLINE_JOB, { operationId }, { jobId: `deadline-${operationId}`, delay });
    } catch (error) {
      this.#warn(error, 'a deadline job could not be stored');
    }
  }

  /**
   * A queue that was emptied has lost its schedule too, and with it the job that would notice; one that is away, or holds
   * the job for a dead worker, brings none. So what the queue should do is looked after here as well.
   */
  async #watch(): Promise<void> {
    const { queue } = this.#session ?? {};
    try {
      const isLate = performance.now() - this.#reconciledAtMs > 2 * this.parts.reconcileEveryMs;
      if (isLate) await this.#reconcile();
      if (queue === undefined || (await queue.getJobScheduler(RECONCILE_JOB)) !== undefined) return;
      await this.#schedule(queue);
      await this.#reconcile();
    } catch (error) {
      this.#warn(error, 'the job queue could not be looked at');
    }
  }

  async #reconcile(): Promise<void> {
    this.#reconciledAtMs = performance.now();
    await this.parts.handlers.onReconcile();
  }

  async #schedule(queue: Queue): Promise<void> {
    await queue.upsertJobScheduler(
      RECONCILE_JOB,
      { every: this.parts.reconcileEveryMs },
      { name: RECONCILE_JOB, opts: { removeOnComplete: true, removeOnFail: true } },
    );
  }

  async #connect(): Promise<void> {
    const { signal } = this.#abort;
    for (let attempt = 1; !signal.aborted; attempt += 1) {
      let session: Session | undefined;
      try {
        session = this.#open();
        await Promise.all([session.queue.waitUntilReady(), session.worker.waitUntilReady()]);
        await this.#schedule(session.queue);
        session.worker.run().catch((error: unknown) => this.#warn(error, 'the job worker stopped'));
        this.#session = session;
        await this.#reconcile();
        return;
      } catch (error) {
        this.#session = undefined;
        this.#warn(error, 'the job queue is not available; trying again');
        if (session !== undefined) await close(session);
      }
      await pause(backOffMs(attempt, 500, 10_000), signal);
    }
  }

  #open(): Session {
    const { jobs } = this.parts;
    const handle = async (job: { name: string; data: { operationId?: string } }): Promise<void> => {
      const { operationId } = job.data;
      if (job.name === RECONCILE_JOB) await this.#reconcile();
      else if (operationId !== undefined) await this.parts.handlers.onDeadline(operationId);
    };
    const jobDefaults = {
      removeOnComplete: true,
      removeOnFail: 1000,
      attempts: 5,
      backoff: { type: 'exponential', delay: 1000 },
    };
    const work = { autorun: false, concurrency: 4, lockDuration: 10_000, stalledInterval: 5_000 };
    let session: Session;
    if (jobs.backend === 'postgres') {
      const connection = { connectionString: jobs.databaseUrl, migrate: true, max: 4 };
      const queueOptions = { connection, defaultJobOptions: jobDefaults };
      session = {
        queue: new Queue(QUEUE, queueOptions, createPostgresBackend) as unknown as Queue,
        worker: new Worker(QUEUE, handle, { ...work, connection }, createPostgresBackend) as unknown as Worker,
      };
    } else {
      // A queue fails fast while Redis is away; a worker waits for it as long as it takes.
      const queueOptions = {
        connection: { url: jobs.url, maxRetriesPerRequest: 1 },
        defaultJobOptions: jobDefaults,
      };
      session = {
        queue: new Queue(QUEUE, queueOptions),
        worker: new Worker(QUEUE, handle, { ...work, connection: { url: jobs.url, maxRetriesPerRequest: null } }),
      };
    }
    session.queue.on('error', (error) => this.#warn(error, 'job queue'));
    session.worker.on('error', (error) => this.#warn(error, 'job worker'));
    session.worker.on('failed', (_, error) => this.#warn(error, 'a job failed'));
    return session;
  }

  #warn(error: unknown, what: string): void {
    if (!this.#abort.signal.aborted) this.parts.logger.warn({ err: asError(error) }, what);
  }
}

async function close({ queue, worker }: Session): Promise<void> {
  await Promise.allSettled([worker.close(), queue.close()]);
}
