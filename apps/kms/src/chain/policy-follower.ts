import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { jsonRpcProvider } from '@vouch/contracts';
import type { EventStore } from '@vouch/eventstore';
import { EVENT_STORE, EventWriter, PinoLogger, pause, saysRetryable } from '@vouch/platform';
import type { KmsConfig } from '../config/kms-config.js';
import { indexerSettings } from '../policy/policy-settings.js';
import { KMS_CONFIG } from '../tokens.js';
import { PolicyIndexer } from './policy-indexer.js';

/** Blocks in one request: what public nodes still answer. */
const RANGE_BLOCKS = 2_000;

/** Keeps the log of policy changes up to date for as long as the service runs; only with policy in a contract. */
@Injectable()
export class PolicyFollower implements OnApplicationShutdown {
  readonly #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();

  constructor(
    @Inject(KMS_CONFIG) private readonly config: KmsConfig,
    @Inject(EVENT_STORE) private readonly store: EventStore,
    private readonly writer: EventWriter,
    private readonly logger: PinoLogger,
  ) {
    logger.setContext('policy-log');
  }

  start(): void {
    const settings = indexerSettings(this.config);
    if (settings !== undefined) this.#running = this.#run(settings);
  }

  async onApplicationShutdown(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #run({ rpcUrl, pollMs, ...rest }: NonNullable<ReturnType<typeof indexerSettings>>): Promise<void> {
    const { store, writer } = this;
    const { signal } = this.#stop;
    const provider = jsonRpcProvider(rpcUrl);
    const indexer = new PolicyIndexer({ ...rest, provider, rangeBlocks: RANGE_BLOCKS, store, writer });
    let trouble = '';
    while (!signal.aborted) {
      try {
        const range = await indexer.index();
        if (range.logged > 0 || range.orphaned > 0 || trouble !== '') this.logger.info(range, 'policy changes logged');
        trouble = '';
      } catch (error) {
        const { message } = error as Error;
        if (message !== trouble) {
          const level = saysRetryable(error) === true ? 'warn' : 'error';
          this.logger[level]({ reason: message }, 'policy changes cannot be logged now');
        }
        trouble = message;
      }
      await pause(pollMs, signal);
    }
    provider.destroy();
  }
}
