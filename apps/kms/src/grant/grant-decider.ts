import type { FieldLogger } from '@vouch/platform';
import type { CollateralRecorder } from '../collateral/collateral-recorder.js';
import { decideRequest } from './decide-request.js';
import type { DecisionPorts, DecisionSettings } from './decision-ports.js';
import { grantEventOf } from './grant-event.js';
import type { GrantLog, StoredGrant } from './grant-log.js';
import type { GrantRequest } from './grant-request.js';
import type { PayloadSealer } from './payload-sealer.js';

export interface GrantDeciderParts {
  readonly ports: DecisionPorts;
  readonly settings: DecisionSettings;
  readonly grants: GrantLog;
  readonly collateral: CollateralRecorder;
  readonly sealer: PayloadSealer;
  readonly logger: FieldLogger;
}

/** Decides each request once and for ever; the log remembers. */
export class GrantDecider {
  constructor(private readonly parts: GrantDeciderParts) {}

  /** The stored decision: an earlier one, or the one made now. Throws retryable errors, with nothing decided. */
  async decided(request: GrantRequest, corr: string): Promise<StoredGrant> {
    const { grants, ports, settings, collateral, sealer, logger } = this.parts;
    const { requestId, data } = request;
    const history = await grants.history(data.instanceId);
    const earlier = grants.decisionOf(history, requestId);
    if (earlier !== undefined) return earlier;
    const verdict = await decideRequest(request, ports, settings);
    if (verdict.collateral !== null) await collateral.record(verdict.collateral);
    const body = await grantEventOf(request, verdict, sealer);
    const stored = await grants.append(request, history, body, corr);
    const failedCheck = body.type === 'grant.denied' ? body.data.failedCheck : undefined;
    logger.info({ requestId, instanceId: data.instanceId, type: body.type, failedCheck, seq: stored.seq }, 'decided');
    return stored;
  }
}
