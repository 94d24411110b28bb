import { Injectable } from '@nestjs/common';
import { PinoLogger, ServiceState } from '@vouch/platform';
import { AuditMetrics } from './audit-metrics.js';
import type { AuditObserver } from './projector/audit-engine.js';

const HOLD = 'projection';

/** Tells the operator how the projection is: readiness, metrics and log. Errors go out as code and message only. */
@Injectable()
export class AuditReport {
  constructor(
    private readonly state: ServiceState,
    private readonly metrics: AuditMetrics,
    private readonly logger: PinoLogger,
  ) {
    logger.setContext('projection');
    state.hold(HOLD, 'starting');
  }

  /** `signed` is called after each persisted checkpoint. */
  observer(signed: () => void): AuditObserver {
    return {
      state: (state) => {
        this.metrics.leading.set(state === 'following' ? 1 : 0);
        if (state === 'following') this.state.release(HOLD);
        else this.state.hold(HOLD, 'another auditor leads, or the lead is being taken');
        this.logger.info({ state }, 'projection state');
      },
      resumed: (position, checkpoint) => {
        this.metrics.position.set(position);
        if (checkpoint === undefined) return;
        this.metrics.checkpointSize.set(checkpoint.size);
        signed();
      },
      projected: (events, position) => {
        this.metrics.events.inc(events);
        this.metrics.position.set(position);
      },
      signed: ({ size }) => {
        this.metrics.checkpoints.inc();
        this.metrics.checkpointSize.set(size);
        signed();
      },
      retrying: (error) => {
        this.metrics.leading.set(0);
        this.metrics.retries.inc();
        this.state.hold(HOLD, error.message);
        this.logger.warn(
          { code: codeOf(error), reason: error.message },
          'the projection was interrupted; trying again',
        );
      },
    };
  }

  /** The alarm: the log or its copy is damaged, or an event cannot be taken. Nothing is projected or signed any more. */
  damaged(error: Error): void {
    this.metrics.leading.set(0);
    this.logger.fatal({ code: codeOf(error), reason: error.message }, 'the projection stopped: the log needs a person');
    this.state.fail('projection', error);
  }
}

function codeOf(error: Error): unknown {
  return (error as { code?: unknown }).code;
}
