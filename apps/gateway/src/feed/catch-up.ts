import { Inject, Injectable } from '@nestjs/common';
import type { EventStore } from '@vouch/eventstore';
import { EVENT_STORE, ServiceState } from '@vouch/platform';
import { LogPosition } from './log-position.js';

/** Waits until the routing table has applied every event that was in the log when the wait began. */
@Injectable()
export class CatchUp {
  constructor(
    @Inject(EVENT_STORE) private readonly store: EventStore,
    private readonly state: ServiceState,
    private readonly position: LogPosition,
  ) {}

  /** Resolves with that log position. Throws EventStoreUnavailableError, or the fatal error that ended the feed. */
  async done(): Promise<number> {
    const target = await this.store.lastSeq();
    const failed = this.state.failed.then(({ error }) => {
      throw error;
    });
    await Promise.race([this.position.at(target), failed]);
    return target;
  }
}
