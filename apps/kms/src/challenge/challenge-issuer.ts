import { HEX20 } from '@vouch/domain';
import type { EventStore } from '@vouch/eventstore';
import { z } from 'zod';
import { judgeEpoch, judgeHost, judgeWanted } from '../placement/judge-placement.js';
import { readPlacement } from '../placement/placement-view.js';
import type { ChallengeBook, IssuedChallenge } from './challenge-book.js';
import type { HostRateLimit } from './host-rate-limit.js';

/** A request of a host that is refused for good; `code` is stable. */
export class HostRequestRefusedError extends Error {
  readonly retryable = false;
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
    this.name = 'HostRequestRefusedError';
  }
}

const requestSchema = z.strictObject({
  instanceId: z.string().regex(HEX20, '40 lower-case hex digits'),
  epoch: z.number().int().positive(),
});

/** Gives challenges to hosts, for instances that the log places on that very host now. */
export class ChallengeIssuer {
  constructor(
    private readonly book: ChallengeBook,
    private readonly store: EventStore,
    private readonly limit: HostRateLimit,
  ) {}

  /**
   * `hostId` is the one the bus permits the asker to be, `request` any JSON value. Throws HostRequestRefusedError,
   * HostRateLimitedError, or a retryable error when log or table are away.
   */
  async issue(hostId: string, request: unknown): Promise<IssuedChallenge> {
    this.limit.take(hostId);
    const parsed = requestSchema.safeParse(request);
    if (!parsed.success) throw new HostRequestRefusedError('bad-request', z.prettifyError(parsed.error));
    const { instanceId, epoch } = parsed.data;
    const place = { hostId, instanceId, epoch };
    const { instance } = await readPlacement(this.store, instanceId);
    for (const finding of [judgeHost(instance, place), judgeEpoch(instance, place), judgeWanted(instance)]) {
      if (!finding.ok) throw new HostRequestRefusedError('not-placed-here', finding.detail);
    }
    return await this.book.issue(place);
  }
}
