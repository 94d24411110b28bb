/** A clock that stands still until a test moves it. */
export class FakeClock {
  #nowMs: number;
  #monotonicMs = 0;

  /** `start` is an ISO 8601 time; a fixed one makes runs repeatable. */
  constructor(start = '2026-01-01T00:00:00.000Z') {
    this.#nowMs = Date.parse(start);
  }

  readonly now = (): Date => new Date(this.#nowMs);
  readonly monotonicMs = (): number => this.#monotonicMs;

  advance(milliseconds: number): void {
    this.#nowMs += milliseconds;
    this.#monotonicMs += milliseconds;
  }

  /** Moves the wall clock only, as an operator or NTP may; monotonic time is not touched. */
  jump(milliseconds: number): void {
    this.#nowMs += milliseconds;
  }
}
