import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** The numbers every service counts. Labels are bounded: no ids. Further metrics may be registered on `registry`. */
export class Metrics {
  readonly registry = new Registry();

  readonly eventsHandled = new Counter({
    name: 'vouch_events_handled_total',
    help: 'Deliveries of events to handlers, by consumer, event type and outcome (ok, retry, fatal)',
    labelNames: ['consumer', 'type', 'outcome'] as const,
    registers: [this.registry],
  });
  readonly eventSeconds = new Histogram({
    name: 'vouch_event_handling_seconds',
    help: 'Time one handler took for one delivery',
    labelNames: ['consumer'] as const,
    buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10],
    registers: [this.registry],
  });
  readonly eventsInFlight = new Gauge({
    name: 'vouch_events_in_flight',
    help: 'Events handed to handlers and not yet settled',
    labelNames: ['consumer'] as const,
    registers: [this.registry],
  });
  readonly consumerPosition = new Gauge({
    name: 'vouch_consumer_position',
    help: 'Log position of the last event a consumer finished',
    labelNames: ['consumer'] as const,
    registers: [this.registry],
  });
  readonly eventsWritten = new Counter({
    name: 'vouch_events_written_total',
    help: 'Appends by event type and outcome (stored, duplicate, conflict, failed)',
    labelNames: ['type', 'outcome'] as const,
    registers: [this.registry],
  });
  readonly appendSeconds = new Histogram({
    name: 'vouch_append_seconds',
    help: 'Time from the wish to write an event to its acknowledgement, retries included',
    buckets: [0.001, 0.002, 0.005, 0.01, 0.05, 0.25, 1, 5, 30],
    registers: [this.registry],
  });
  readonly requests = new Counter({
    name: 'vouch_bus_requests_total',
    help: 'Bus requests answered, by pattern and outcome (ok or the error code)',
    labelNames: ['pattern', 'outcome'] as const,
    registers: [this.registry],
  });
  readonly fatalErrors = new Counter({
    name: 'vouch_fatal_errors_total',
    help: 'Errors after which the service stops, by code',
    labelNames: ['code'] as const,
    registers: [this.registry],
  });

  constructor() {
    collectDefaultMetrics({ register: this.registry });
  }
}
