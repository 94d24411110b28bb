import type { CollateralEndpoint } from './collateral-endpoint.js';
import { endpointName } from './collateral-endpoint.js';
import type { EndpointFailure, EndpointFault } from './collateral-unavailable-error.js';

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;

/** One endpoint with its record: after a failure that a retry can mend it is left alone for a while, longer each time. */
export class EndpointState {
  readonly name: string;
  private inARow = 0;
  private notBeforeMs = 0;
  private last: EndpointFailure | null = null;

  /** @throws InvalidEndpointError */
  constructor(readonly endpoint: CollateralEndpoint) {
    this.name = endpointName(endpoint);
  }

  get failuresInARow(): number {
    return this.inARow;
  }

  get lastFailure(): EndpointFailure | null {
    return this.last;
  }

  /** Milliseconds to leave it alone; 0 when it may be asked. */
  waitMs(monotonicMs: number): number {
    return Math.max(0, this.notBeforeMs - monotonicMs);
  }

  succeeded(): void {
    this.inARow = 0;
    this.notBeforeMs = 0;
    this.last = null;
  }

  /** A refusal that stays (a platform it does not know) says nothing about the endpoint itself and costs no wait. */
  failed(fault: EndpointFault, monotonicMs: number): EndpointFailure {
    const { code, message, retryable } = fault;
    this.last = { endpoint: this.name, code, message, retryable };
    if (retryable) {
      this.inARow += 1;
      const longest = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(this.inARow - 1, 10));
      // Half of it at random, so that many clients do not come back at once.
      this.notBeforeMs = monotonicMs + longest * (0.5 + Math.random() / 2);
    }
    return this.last;
  }

  backingOff(monotonicMs: number): EndpointFailure {
    const seconds = (this.waitMs(monotonicMs) / 1000).toFixed(1);
    const reason = this.last === null ? '' : ` after ${this.last.code}: ${this.last.message}`;
    return {
      endpoint: this.name,
      code: 'BACKING_OFF',
      message: `not asked for another ${seconds} s${reason}`,
      retryable: true,
    };
  }
}
