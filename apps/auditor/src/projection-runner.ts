import { Inject, Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { EventStore } from '@vouch/eventstore';
import { asError, CLOCK, type Clock, ConfigError, EVENT_STORE } from '@vouch/platform';
import { DataSource } from 'typeorm';
import { AuditReport } from './audit-report.js';
import type { AuditorConfig } from './auditor-config.js';
import { AuditEngine } from './projector/audit-engine.js';
import type { LogIdentity } from './projector/log-signer.js';
import { ReceiptService } from './receipts/receipt-service.js';
import { TileService } from './receipts/tile-service.js';
import { AUDITOR_CONFIG, LOG_IDENTITY } from './tokens.js';

/** Runs the engine for the life of the service. */
@Injectable()
export class ProjectionRunner {
  readonly receipts: ReceiptService;
  readonly tiles: TileService;
  readonly #engine: AuditEngine;
  readonly #ending = new AbortController();
  #running: Promise<void> = Promise.resolve();

  constructor(
    @InjectDataSource() private readonly dataSource: DataSource,
    @Inject(EVENT_STORE) store: EventStore,
    @Inject(CLOCK) clock: Clock,
    @Inject(LOG_IDENTITY) identity: LogIdentity,
    @Inject(AUDITOR_CONFIG) config: AuditorConfig,
    private readonly report: AuditReport,
  ) {
    this.#engine = new AuditEngine({
      dataSource,
      store,
      identity,
      clock,
      checkpointIntervalMs: config.AUDITOR_CHECKPOINT_INTERVAL_MS,
      observer: report.observer(() => this.receipts.signed()),
    });
    this.receipts = new ReceiptService({
      dataSource,
      engine: this.#engine,
      verifier: identity,
      waitMs: config.AUDITOR_RECEIPT_WAIT_SECONDS * 1000,
      clock,
    });
    this.tiles = new TileService(dataSource, this.receipts);
  }

  /** Throws ConfigError when the database was not migrated. */
  async start(): Promise<void> {
    if (await this.dataSource.showMigrations()) {
      throw new ConfigError(['DATABASE_URL: the tables are missing or old; run the `migrate` step first']);
    }
    this.#running = this.#engine
      .run(this.#ending.signal)
      .catch((error: unknown) => this.report.damaged(asError(error)));
  }

  async stop(): Promise<void> {
    this.#ending.abort();
    await this.#running;
  }
}
