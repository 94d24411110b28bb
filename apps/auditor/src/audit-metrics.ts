import { Injectable } from '@nestjs/common';
import { Metrics } from '@vouch/platform';
import { Counter, Gauge } from 'prom-client';

/** What the auditor counts beside what every service does. */
@Injectable()
export class AuditMetrics {
  readonly position: Gauge;
  readonly checkpointSize: Gauge;
  readonly leading: Gauge;
  readonly events: Counter;
  readonly checkpoints: Counter;
  readonly retries: Counter;

  constructor(metrics: Metrics) {
    const registers = [metrics.registry];
    this.position = new Gauge({ name: 'vouch_audit_position', help: 'Log position of the copy', registers });
    this.checkpointSize = new Gauge({
      name: 'vouch_audit_checkpoint_size',
      help: 'Number of events the last signed checkpoint covers',
      registers,
    });
    this.leading = new Gauge({
      name: 'vouch_audit_leading',
      help: '1 while this process projects and signs, 0 while another one does',
      registers,
    });
    this.events = new Counter({ name: 'vouch_audit_events_total', help: 'Events projected', registers });
    this.checkpoints = new Counter({ name: 'vouch_audit_checkpoints_total', help: 'Checkpoints signed', registers });
    this.retries = new Counter({
      name: 'vouch_audit_retries_total',
      help: 'Times the projection was interrupted and taken up again',
      registers,
    });
  }
}
