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
    this.done.set(name, newCheck(name, 'pass', detail(value)));
    this.running = undefined;
    return value;
  }

  /** Runs the first part of a check, which a later `step` or `adopt` completes. */
  begin<T>(name: Name, body: () => T): T {
    this.running = name;
    const value = body();
    this.running = undefined;
    return value;
  }

  /** Records that a check has no meaning here. */
  skip(name: Name, why: string): void {
    this.done.set(name, newCheck(name, 'skipped', why));
  }

  /** Takes over what `recorded` gave for the very same input. */
  adopt(checks: readonly Check[]): void {
    for (const check of checks) this.done.set(check.name, check);
  }

  /** The checks of these names, which must have been run or skipped. They are frozen: many results may share them. */
  recorded(...names: readonly Name[]): readonly Check[] {
    return names.map((name) => {
      const check = this.done.get(name);
      if (check === undefined) throw new Error(`check ${name} was not run yet`);
      return check;
    });
  }

  /** Runs the whole stage. */
  settle<T>(body: () => T): SheetResult<T> {
    try {
      const value = body();
      const checks: Check[] = [];
      for (const name of this.order) {
        const check = this.done.get(name);
        if (check === undefined) throw new Error(`check ${name} was neither run nor skipped`);
        checks.push(check);
      }
      return { ok: true, value, checks };
    } catch (error) {
      if (!(error instanceof Refusal) || this.running === undefined) throw error;
      const failed = newCheck(this.running, 'fail', error.message);
      this.done.set(this.running, failed);
      return { ok: false, failed, code: error.code, checks: this.list(`not reached: ${this.running} failed`) };
    }
  }

  private list(notReached: string): readonly Check[] {
    return this.order.map((name) => this.done.get(name) ?? newCheck(name, 'skipped', notReached));
  }
}

function newCheck(name: string, outcome: Check['outcome'], detail: string): Check {
  return Object.freeze({
    name,
    outcome,
    detail: detail.length > DETAIL_LIMIT ? detail.slice(0, DETAIL_LIMIT) : detail,
  });
}
