import { createPublicKey } from 'node:crypto';
import type { EventStore } from '@vouch/eventstore';
import { systemClock } from '@vouch/platform';
import type { TestAuthors } from '@vouch/testkit';
import type { DataSource } from 'typeorm';
import type { SqlSession } from '../database/sql-session.js';
import { AuditEngine } from '../projector/audit-engine.js';
import type { StoredCheckpoint } from '../projector/checkpoint-store.js';
import type { LogIdentity } from '../projector/log-signer.js';
import { ReceiptService } from '../receipts/receipt-service.js';

export function logIdentity(authors: TestAuthors): LogIdentity {
  const privateKey = authors.logPrivateKey;
  return { origin: authors.trust.log.origin, privateKey, publicKey: createPublicKey(privateKey) };
}

export interface HarnessOptions {
  readonly store: EventStore;
  readonly dataSource: DataSource;
  readonly authors: TestAuthors;
  readonly wrapSession?: (session: SqlSession) => SqlSession;
}

/** A running engine with its receipts, and what it reported. */
export class EngineHarness {
  readonly retries: Error[] = [];
  readonly states: string[] = [];
  readonly checkpoints: StoredCheckpoint[] = [];
  readonly engine: AuditEngine;
  readonly receipts: ReceiptService;
  readonly #ending = new AbortController();
  readonly #listeners = new Set<() => void>();
  /** Settles when the engine ends: undefined after {@link stop}, else the error that ended it. */
  readonly ended: Promise<unknown>;
  position = 0;

  constructor(options: HarnessOptions) {
    const { dataSource, store, authors, wrapSession } = options;
    const identity = logIdentity(authors);
    this.engine = new AuditEngine({
      dataSource,
      store,
      identity,
      clock: systemClock,
      checkpointIntervalMs: 20,
      ...(wrapSession === undefined ? {} : { wrapSession }),
      observer: {
        state: (state) => this.#told(() => this.states.push(state)),
        resumed: (position, checkpoint) =>
          this.#told(() => {
            this.position = position;
            if (checkpoint !== undefined) this.checkpoints.push(checkpoint);
          }),
        projected: (_, position) =>
          this.#told(() => {
            this.position = position;
          }),
        signed: (checkpoint) =>
          this.#told(() => {
            this.checkpoints.push(checkpoint);
            this.receipts.signed();
          }),
        retrying: (error) => this.#told(() => this.retries.push(error)),
      },
    });
    this.receipts = new ReceiptService({
      dataSource,
      engine: this.engine,
      verifier: identity,
      waitMs: 20_000,
      clock: systemClock,
    });
    this.ended = this.engine.run(this.#ending.signal).then(
      () => undefined,
      (error: unknown) => error,
    );
  }

  /** Resolves when `condition` holds, which is looked at after each report. Rejects when the engine ended before. */
  async until(condition: () => boolean): Promise<void> {
    const held = new Promise<void>((resolve) => {
      const look = () => {
        if (!condition()) return;
        this.#listeners.delete(look);
        resolve();
      };
      this.#listeners.add(look);
      look();
    });
    const isHeld = await Promise.race([held.then(() => true), this.ended.then(() => false)]);
    if (!isHeld) throw new Error('the engine ended first', { cause: await this.ended });
  }

  async signedFor(size: number): Promise<void> {
    await this.until(() => (this.checkpoints.at(-1)?.size ?? 0) >= size);
  }

  async stop(): Promise<unknown> {
    this.#ending.abort();
    return await this.ended;
  }

  #told(change: () => void): void {
    change();
    for (const look of [...this.#listeners]) look();
  }
}
