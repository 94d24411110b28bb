import { setTimeout as delay } from 'node:timers/promises';
import type { TrustAnchor } from '@vouch/attestation';
import { EventRejectedError, type KeyDirectory } from '@vouch/domain';
import { type EventStore, SequenceGapError, type StoredEvent, StreamWentBackError } from '@vouch/eventstore';
import { type CheckpointVerifier, CompactRange } from '@vouch/transparency';
import type { DataSource } from 'typeorm';
import { DatabaseError } from '../database/database-error.js';
import { type SqlSession, withSession } from '../database/sql-session.js';
import { EventQueue } from '../projector/event-queue.js';
import { IntegrityError } from '../projector/integrity-error.js';
import { loadRange } from '../projector/merkle-store.js';
import { projectBatch, readPosition } from '../projector/project-batch.js';
import { checkCheckpoints, compareCopies, hex } from './compare-batch.js';
import { compareTable } from './compare-table.js';
import { EVENT_TABLE, MERKLE_TABLE, PROJECTED_TABLES } from './compared-tables.js';
import { CopiedDecisionLog } from './copied-decision-log.js';
import { type Difference, DifferenceFound } from './difference.js';
import { GrantRechecker } from './grant-rechecker.js';
import { lastSeqAt } from './last-seq-at.js';
import type { ReplayCheck, ReplayReport } from './replay-report.js';
import { withScratchSchema } from './scratch-schema.js';

export interface ReplayOptions {
  readonly store: EventStore;
  readonly live: DataSource;
  /** URL of the same database, for the scratch schema's own connection. */
  readonly databaseUrl: string;
  readonly verifier: CheckpointVerifier;
  /** Whose signatures count, for the events a decision rests on. */
  readonly directory: KeyDirectory;
  /** Roots a quote may lead to; Intel's when empty. */
  readonly trustAnchors: readonly TrustAnchor[];
  /** First event to replay (default 1). From a later one on, tables are not rebuilt and not compared. */
  readonly from?: number;
  /** Last event to replay; the projected tables are then not compared unless that is the last of all. */
  readonly to?: number;
  /** Replay the log as it was at this time (by the broker's clock). */
  readonly atTime?: Date;
  readonly onProgress: (events: number, of: number) => void;
  readonly signal: AbortSignal;
  readonly clock: { monotonicMs(): number };
}

/** The replay was told to stop. Nothing is left behind. */
export class ReplayInterruptedError extends Error {
  readonly code = 'replay-interrupted';
  readonly retryable = true;
}

const BATCH_EVENTS = 1_024;
const BATCH_BYTES = 4 * 1024 * 1024;
/** How often a replay that waits for events looks whether it was told to stop, ms. */
const READ_WAIT_MS = 500;
/** How long the live projection may need to take in what the log already holds, ms. */
const CATCH_UP_MS = 5_000;
const CATCH_UP_POLL_MS = 100;

/**
 * Rebuilds everything from event 1 with the code of the live projector and compares: author signatures (the reader of the
 * log verifies each), copied bytes, every checkpoint, every row, the Merkle tree. The live tables are read in one
 * snapshot taken at the start, so the auditor may go on. Throws only when it could not finish (unavailable, interrupted).
 */
export async function replay(options: ReplayOptions): Promise<ReplayReport> {
  const started = options.clock.monotonicMs();
  await waitForProjection(options);
  return await withSession(options.live, async (live) => {
    await live.query('begin transaction isolation level repeatable read, read only');
    try {
      const run = new Replay(options, live);
      const difference = await run.run();
      return run.report(difference, options.clock.monotonicMs() - started);
    } finally {
      await live.query('rollback').catch(() => undefined);
    }
  });
}

class Replay {
  readonly #checks: ReplayCheck[] = [];
  readonly #rows: Record<string, number> = {};
  readonly #grants: GrantRechecker;
  readonly #from: number;
  #tree = CompactRange.empty();
  #checkpoints = 0;
  #notProjectedYet = 0;

  constructor(
    private readonly options: ReplayOptions,
    private readonly live: SqlSession,
  ) {
    this.#from = options.from ?? 1;
    this.#grants = new GrantRechecker(new CopiedDecisionLog(live, options.directory), options.trustAnchors);
  }

  /** The first difference, or null. */
  async run(): Promise<Difference | null> {
    try {
      await this.#compare();
      return null;
    } catch (error) {
      const difference = differenceOf(error, this.#tree.size + 1);
      if (difference === undefined) throw error;
      return difference;
    }
  }

  report(difference: Difference | null, durationMs: number): ReplayReport {
    return {
      equal: difference === null,
      from: this.#from,
      events: Math.max(0, this.#tree.size - this.#from + 1),
      notProjectedYet: this.#notProjectedYet,
      root: hex(this.#tree.root()),
      checkpoints: this.#checkpoints,
      rows: this.#rows,
      grants: this.#grants.summary,
      checks: this.#checks,
      difference,
      durationMs: Math.round(durationMs),
    };
  }

  async #compare(): Promise<void> {
    const position = await readPosition(this.live);
    const end = await this.#end(position);
    if (this.#from > 1) await this.#walkFrom(end);
    else await this.#rebuildAll(end, end === position);
    await this.#compareRoot(end);
    this.#judgeGrants();
  }

  /** The last event to replay. */
  async #end(position: number): Promise<number> {
    const { store, to, atTime } = this.options;
    const lastSeq = await store.lastSeq();
    if (lastSeq < position) throw new DifferenceFound({ kind: 'log-cut', lastSeq, position });
    this.#notProjectedYet = lastSeq - position;
    const end = Math.min(to ?? position, position);
    return atTime === undefined ? end : await lastSeqAt(store, atTime, end);
  }

  async #rebuildAll(end: number, isWhole: boolean): Promise<void> {
    const { live, databaseUrl } = this.options;
    await withScratchSchema(live, databaseUrl, async (scratch) => {
      let rebuilt = CompactRange.empty();
      await this.#walk(end, async (events) => {
        rebuilt = await projectBatch(scratch, rebuilt, events);
      });
      await scratch.query('begin transaction isolation level repeatable read, read only');
      await this.#compareTables(scratch, end, isWhole);
      await scratch.query('rollback');
    });
  }

  /** Without tables: they follow from the first event only. The tree before `from` is the stored one; roots check it. */
  async #walkFrom(end: number): Promise<void> {
    this.#tree = await loadRange(this.live, Math.min(this.#from - 1, end));
    await this.#walk(end, async () => undefined);
    this.#checks.push({
      name: 'tables',
      outcome: 'skipped',
      detail: `rows follow from event 1 on; this replay starts at event ${this.#from}`,
    });
  }

  async #walk(end: number, project: (events: readonly StoredEvent[]) => Promise<void>): Promise<void> {
    for await (const events of this.#batches(end)) {
      if (this.options.signal.aborted) throw new ReplayInterruptedError('the replay was interrupted');
      await compareCopies(this.live, events);
      await project(events);
      this.#checkpoints += await checkCheckpoints(this.live, this.#tree, events, this.options.verifier);
      await this.#grants.take(events);
      this.options.onProgress(this.#tree.size - this.#from + 1, end - this.#from + 1);
    }
    if (this.#tree.size !== end) {
      throw new DifferenceFound({ kind: 'log-cut', lastSeq: this.#tree.size, position: end });
    }
    await this.#refuseCheckpointsBeyond(end);
    const events = Math.max(0, end - this.#from + 1);
    this.#pass('author signatures', `${events} events`);
    this.#pass('event copies', `${events} events, byte for byte`);
    this.#pass('checkpoints', `${this.#checkpoints} signatures and roots`);
  }

  /** Every decision must come out as it was logged. */
  #judgeGrants(): void {
    const { decided, confirmed, differing, skipped, listed } = this.#grants.summary;
    const first = listed.find(({ verdict }) => verdict === 'differs');
    if (first !== undefined) {
      throw new DifferenceFound({ kind: 'grant-differs', seq: first.seq, count: differing, detail: first.reason });
    }
    const detail = `${confirmed} of ${decided} decisions verified again from logged evidence, collateral and time`;
    if (skipped === 0) {
      this.#pass('grant evidence', detail);
      return;
    }
    const reason = listed.find(({ verdict }) => verdict === 'skipped')?.reason ?? '';
    this.#checks.push({ name: 'grant evidence', outcome: 'skipped', detail: `${detail}; ${skipped} not: ${reason}` });
  }

  /** Nothing may be signed that was not copied first. */
  async #refuseCheckpointsBeyond(end: number): Promise<void> {
    if (end !== (await readPosition(this.live))) return;
    const { rows } = await this.live.query('select min(size) as size from checkpoint where size > $1', [end]);
    if (rows[0]?.size === null || rows[0] === undefined) return;
    const detail = `signs for more events than the ${end} that are copied`;
    throw new DifferenceFound({ kind: 'checkpoint-invalid', size: Number(rows[0].size), detail });
  }

  async *#batches(end: number): AsyncGenerator<StoredEvent[]> {
    if (end < this.#from) return;
    const { store, signal } = this.options;
    const stopping = new AbortController();
    const reading = AbortSignal.any([signal, stopping.signal]);
    const queue = new EventQueue();
    void queue.fill(store.read({ fromSeq: this.#from, follow: false, signal: reading }));
    try {
      for (let next = this.#from; next <= end; ) {
        const events = await queue.take(Math.min(BATCH_EVENTS, end - next + 1), BATCH_BYTES, READ_WAIT_MS);
        if (signal.aborted) throw new ReplayInterruptedError('the replay was interrupted');
        if (events.length === 0 && queue.isDrained) return;
        if (events.length > 0) yield events;
        next += events.length;
      }
    } finally {
      stopping.abort();
      queue.close();
    }
  }

  async #compareTables(scratch: SqlSession, end: number, isWhole: boolean): Promise<void> {
    for (const table of [EVENT_TABLE, ...PROJECTED_TABLES, MERKLE_TABLE]) {
      if (table.upTo === undefined && !isWhole) {
        this.#checks.push({
          name: `table ${table.name}`,
          outcome: 'skipped',
          detail: `the live table is at its own position, not at event ${end}`,
        });
        continue;
      }
      // The whole copy is compared without a limit: rows beyond the position must not exist either.
      const rows = await compareTable(table, this.live, scratch, isWhole ? Number.MAX_SAFE_INTEGER : end);
      this.#rows[table.name] = rows;
      this.#pass(`table ${table.name}`, `${rows} rows`);
    }
  }

  async #compareRoot(size: number): Promise<void> {
    const replayed = hex(this.#tree.root());
    const live = hex((await loadRange(this.live, size)).root());
    if (live !== replayed) throw new DifferenceFound({ kind: 'root-differs', size, live, replayed });
    this.#pass('Merkle root', replayed);
  }

  #pass(name: string, detail: string): void {
    this.#checks.push({ name, outcome: 'pass', detail });
  }
}

/** What an error says about the log or the live tables; undefined when it only says that the replay could not go on. */
function differenceOf(error: unknown, nextSeq: number): Difference | undefined {
  if (error instanceof DifferenceFound) return error.difference;
  if (error instanceof SequenceGapError) return { kind: 'log-gap', seq: error.expectedSeq, detail: error.message };
  if (error instanceof StreamWentBackError) {
    return { kind: 'log-cut', lastSeq: error.lastSeq, position: error.knownSeq };
  }
  if (error instanceof EventRejectedError) {
    return { kind: 'event-rejected', seq: nextSeq, code: error.code, detail: error.message };
  }
  const isBroken = error instanceof IntegrityError || (error instanceof DatabaseError && !error.retryable);
  return isBroken ? { kind: 'live-unreadable', detail: error.message } : undefined;
}

async function waitForProjection({ store, live, signal }: ReplayOptions): Promise<void> {
  const lastSeq = await store.lastSeq();
  for (let waited = 0; waited < CATCH_UP_MS && !signal.aborted; waited += CATCH_UP_POLL_MS) {
    // An unreadable position is a finding of the comparison, not of the wait.
    const position = await withSession(live, readPosition).catch(() => lastSeq);
    if (position >= lastSeq) return;
    await delay(CATCH_UP_POLL_MS, undefined, { signal }).catch(() => undefined);
  }
}
