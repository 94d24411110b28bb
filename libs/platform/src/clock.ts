import { performance } from 'node:perf_hooks';

/** Where time comes from. `monotonicMs` never steps back and is for durations; `now` is the wall clock. */
export interface Clock {
  now(): Date;
  monotonicMs(): number;
}

export const systemClock: Clock = {
  now: () => new Date(),
  monotonicMs: () => performance.now(),
};
