import {
  type CheckpointVerifier,
  consistencyProof,
  inclusionProof,
  type NodeId,
  type Receipt,
  receiptOf,
  verifyReceipt,
} from '@vouch/transparency';
import type { DataSource } from 'typeorm';
import { type SqlSession, withSession } from '../database/sql-session.js';
import type { AuditEngine } from '../projector/audit-engine.js';
import { coveringCheckpoint, latestCheckpoint, type StoredCheckpoint } from '../projector/checkpoint-store.js';
import { bytesOf, readNodes } from '../projector/merkle-store.js';
import { ReceiptError } from './receipt-error.js';

export interface ReceiptServiceOptions {
  readonly dataSource: DataSource;
  readonly engine: Pick<AuditEngine, 'demandCheckpoint' | 'isLeading'>;
  readonly verifier: CheckpointVerifier;
  /** Longest time a caller waits for a checkpoint that covers its event, ms. */
  readonly waitMs: number;
  readonly clock: { monotonicMs(): number };
}

/** How often an auditor that does not lead looks whether the leader has signed. */
const STANDBY_POLL_MS = 50;
/** Safety net for a leader, which is told of each checkpoint. */
const LEADER_POLL_MS = 1_000;

/** Most callers that wait at once: each costs a query now and then, and the HTTP side asks without a credential. */
const MAX_WAITING = 256;

/** Makes receipts from what is persisted; waits for the checkpoint when it is not there yet. */
export class ReceiptService {
  readonly #wakers = new Set<() => void>();

  constructor(private readonly options: ReceiptServiceOptions) {}

  /** To be called when a checkpoint was persisted. */
  signed(): void {
    for (const wake of [...this.#wakers]) wake();
  }

  /**
   * The receipt of event `seq`, waiting until a signed checkpoint covers it. The receipt is verified before it is given
   * out. Throws ReceiptError and DatabaseError.
   */
  async receipt(seq: number, waitMs: number = this.options.waitMs): Promise<Receipt> {
    if (!Number.isSafeInteger(seq) || seq < 1) {
      throw new ReceiptError('receipt-request-invalid', 'seq must be a log position, 1 or more', false);
    }
    const withdraw = this.options.engine.demandCheckpoint(seq);
    try {
      return await this.#build(seq, await this.#covering(seq, waitMs));
    } finally {
      withdraw();
    }
  }

  /** The largest signed checkpoint; throws `checkpoint-unknown` before the first. */
  async checkpoint(): Promise<StoredCheckpoint> {
    const checkpoint = await withSession(this.options.dataSource, latestCheckpoint);
    if (checkpoint === undefined) throw new ReceiptError('checkpoint-unknown', 'nothing is signed yet', true);
    return checkpoint;
  }

  /** Consistency proof between two sizes up to the last checkpoint's, each hash in base64. */
  async consistency(from: number, to: number): Promise<string[]> {
    const { size } = await this.checkpoint();
    const isCount = (value: number) => Number.isSafeInteger(value) && value >= 0;
    if (!isCount(from) || !isCount(to) || from > to || to > size) {
      throw new ReceiptError('receipt-request-invalid', `0 <= from <= to <= ${size} does not hold`, false);
    }
    const proof = await withSession(this.options.dataSource, (session) => consistencyProof(from, to, reader(session)));
    return proof.map((hash) => Buffer.from(hash).toString('base64'));
  }

  async #covering(seq: number, waitMs: number): Promise<StoredCheckpoint> {
    const { clock, dataSource, engine } = this.options;
    const deadline = clock.monotonicMs() + waitMs;
    for (;;) {
      const news = this.#news();
      try {
        const checkpoint = await withSession(dataSource, (session) => coveringCheckpoint(session, seq));
        if (checkpoint !== undefined) return checkpoint;
        const leftMs = deadline - clock.monotonicMs();
        if (leftMs <= 0 || this.#wakers.size > MAX_WAITING) {
          throw new ReceiptError('receipt-not-ready', `no signed checkpoint covers event ${seq} yet`, true);
        }
        await news.wait(Math.min(leftMs, engine.isLeading ? LEADER_POLL_MS : STANDBY_POLL_MS));
      } finally {
        news.forget();
      }
    }
  }

  async #build(seq: number, { size, note }: StoredCheckpoint): Promise<Receipt> {
    const { dataSource, verifier } = this.options;
    const receipt = await withSession(dataSource, async (session) => {
      const { rows } = await session.query('select bytes from event where seq = $1', [seq]);
      if (rows[0] === undefined) throw new ReceiptError('receipt-unprovable', `event ${seq} is not in the copy`, false);
      return receiptOf(seq, bytesOf(rows[0].bytes), await inclusionProof(seq - 1, size, reader(session)), note);
    });
    try {
      verifyReceipt(receipt, verifier);
    } catch (cause) {
      throw new ReceiptError('receipt-unprovable', `the copy of event ${seq} or its tree is damaged`, false, { cause });
    }
    return receipt;
  }

  /** Registered before looking, so that a checkpoint signed in between is not missed. */
  #news(): { wait(ms: number): Promise<void>; forget(): void } {
    let isTold = false;
    let tell: () => void = () => undefined;
    const waker = () => {
      isTold = true;
      tell();
    };
    this.#wakers.add(waker);
    const wait = (ms: number) =>
      new Promise<void>((resolve) => {
        if (isTold) return resolve();
        const timer = setTimeout(resolve, ms);
        tell = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    return { wait, forget: () => this.#wakers.delete(waker) };
  }
}

function reader(session: SqlSession) {
  return (ids: readonly NodeId[]) => readNodes(session, ids);
}
