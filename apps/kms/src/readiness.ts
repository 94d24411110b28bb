import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import type { EventStore } from '@vouch/eventstore';
import { EVENT_STORE, EventWriter, PinoLogger, pause, ServiceState } from '@vouch/platform';
import { type KmsConfig, standingWeakenings } from './config/kms-config.js';
import type { PolicyAnchor, PolicySource } from './policy/policy-source.js';
import { announceRoot } from './root/announce-root.js';
import type { Keyring } from './root/keyring.js';
import { KMS_CONFIG, KMS_KEYRING, POLICY_SOURCE } from './tokens.js';

const HOLD = 'policy';
const CHECK_EVERY_MS = 5_000;
const RETRY_MS = 500;

/**
 * Holds readiness until the policy's source answers and the log knows this root, and again whenever the source is away.
 * Grants never wait for this: a request that needs the policy while it is away is simply delivered again.
 */
@Injectable()
export class Readiness implements OnApplicationShutdown {
  readonly #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();

  constructor(
    @Inject(KMS_CONFIG) private readonly config: KmsConfig,
    @Inject(KMS_KEYRING) private readonly keyring: Keyring,
    @Inject(EVENT_STORE) private readonly store: EventStore,
    private readonly writer: EventWriter,
    @Inject(POLICY_SOURCE) private readonly policy: PolicySource,
    private readonly state: ServiceState,
    private readonly logger: PinoLogger,
  ) {
    logger.setContext('readiness');
  }

  start(): void {
    this.state.hold(HOLD, 'not asked yet');
    this.#running = this.#run();
  }

  async onApplicationShutdown(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    this.policy.close();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    let isAnnounced = false;
    let isReachable = false;
    while (!signal.aborted) {
      try {
        const anchor = await this.policy.reachable();
        if (!isAnnounced) await this.#announce(anchor);
        isAnnounced = true;
        if (!isReachable) this.logger.info({ ...anchor, policy: this.policy.description }, 'the policy answers');
        isReachable = true;
        this.state.release(HOLD);
      } catch (error) {
        const { message } = error as Error;
        if (isReachable || this.state.reasons[HOLD] !== message) this.logger.warn({ reason: message }, 'not ready');
        isReachable = false;
        this.state.hold(HOLD, message);
      }
      await pause(isReachable ? CHECK_EVERY_MS : RETRY_MS, signal);
    }
  }

  async #announce(anchor: PolicyAnchor): Promise<void> {
    const { KMS_ID: kmsId, KMS_POLICY: policySource } = this.config;
    const announcement = { kmsId, ...anchor, policySource, unsafe: standingWeakenings(this.config) };
    const outcome = await announceRoot(this.keyring.first, announcement, this.store, this.writer);
    this.logger.info({ kmsId, outcome }, 'root announced in the log');
  }
}
