import type { Metrics } from '../health/metrics.js';
import type { ServiceState } from '../health/service-state.js';

/** Structured logging as pino has it: fields first, then a fixed message. */
export interface FieldLogger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** What every transport reports to. */
export interface TransportParts {
  readonly state: ServiceState;
  readonly metrics: Metrics;
  readonly logger: FieldLogger;
}
