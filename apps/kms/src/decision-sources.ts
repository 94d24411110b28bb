import { Inject, Injectable } from '@nestjs/common';
import type { BootInfo } from '@vouch/contracts';
import type { Evidence } from '@vouch/domain';
import type { EventStore } from '@vouch/eventstore';
import { CLOCK, type Clock, EVENT_STORE } from '@vouch/platform';
import { ChallengeBook, type ChallengePlace, type ChallengeUse } from './challenge/challenge-book.js';
import type { EvidenceOutcome } from './evidence/appraised-facts.js';
import { EvidenceAppraiser } from './evidence/evidence-appraiser.js';
import type { DecisionPorts } from './grant/decision-ports.js';
import { type PlacementView, readPlacement } from './placement/placement-view.js';
import type { PolicyDecision, PolicySource } from './policy/policy-source.js';
import { KeyEpochLog } from './root/key-epoch-log.js';
import type { KeyEpochs } from './root/key-epochs.js';
import { POLICY_SOURCE } from './tokens.js';

/** The real sources of a decision's facts. */
@Injectable()
export class DecisionSources implements DecisionPorts {
  constructor(
    private readonly appraiser: EvidenceAppraiser,
    private readonly challenges: ChallengeBook,
    @Inject(EVENT_STORE) private readonly store: EventStore,
    @Inject(POLICY_SOURCE) private readonly source: PolicySource,
    private readonly epochs: KeyEpochLog,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  appraise(evidence: Evidence): Promise<EvidenceOutcome> {
    return this.appraiser.appraise(evidence);
  }
  useChallenge(challenge: string, place: ChallengePlace, requestId: string): Promise<ChallengeUse> {
    return this.challenges.use(challenge, place, requestId);
  }
  placement(instanceId: string): Promise<PlacementView> {
    return readPlacement(this.store, instanceId);
  }
  policy(bootInfo: BootInfo): Promise<PolicyDecision> {
    return this.source.read('app', bootInfo);
  }
  async keyEpochs(): Promise<KeyEpochs> {
    return (await this.epochs.read()).epochs;
  }
  now(): Date {
    return this.clock.now();
  }
}
