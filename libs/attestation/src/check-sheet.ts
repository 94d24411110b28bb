import type { Check, Refused } from './check.js';
import { Refusal } from './refusal.js';

export type SheetResult<T> = { readonly ok: true; readonly value: T; readonly checks: readonly Check[] } | Refused;

const DETAIL_LIMIT = 2000;

/**
 * Runs the checks of one stage in a fixed order and writes down every one of them: a check that throws a `Refusal` fails,
 * and everything after it is listed as skipped. A stage that ends well without having run or skipped each listed check is
 * a bug and throws, so that no check can be forgotten silently.
 */
export class CheckSheet<Name extends string> {
  private readonly done = new Map<string, Check>();
  private running: Name | undefined;

  constructor(private readonly order: readonly Name[]) {}

  /** Runs one check; `detail` words what was established. */
  step<T>(name: Name, body: () => T, detail: (value: T) => string): T {
    this.running = name;
    const value = body();
    this.done.set(name, check(name, 'pass', detail(value)));
    this.running = undefined;
    return value;
  }

  /** Records that a check has no meaning here. */
  skip(name: Name, why: string): void {
    this.done.set(name, check(name, 'skipped', why));
  }

  /** Runs the whole stage. */
  settle<T>(body: () => T): SheetResult<T> {
    try {
      const value = body();
      const missing = this.order.find((name) => !this.done.has(name));
      if (missing !== undefined) throw new Error(`check ${missing} was neither run nor skipped`);
      return { ok: true, value, checks: this.list('') };
    } catch (error) {
      if (!(error instanceof Refusal) || this.running === undefined) throw error;
      const failed = check(this.running, 'fail', error.message);
      this.done.set(this.running, failed);
      return { ok: false, failed, code: error.code, checks: this.list(`not reached: ${this.running} failed`) };
    }
  }

  private list(notReached: string): readonly Check[] {
    return this.order.map((name) => this.done.get(name) ?? check(name, 'skipped', notReached));
  }
}

function check(name: string, outcome: Check['outcome'], detail: string): Check {
  return { name, outcome, detail: detail.slice(0, DETAIL_LIMIT) };
}
