import type { Check } from '@vouch/domain';

/** What one check found: a text for the record either way. */
export type Finding = { readonly ok: boolean; readonly detail: string };

export const holds = (detail: string): Finding => ({ ok: true, detail });
export const fails = (detail: string): Finding => ({ ok: false, detail });

const DETAIL_LIMIT = 2000;

/**
 * The record of one decision: every check of a fixed list in order, with what it found. After the first failure nothing
 * more can be recorded, and all checks that did not run are listed as skipped. A ledger that is closed as passed while a
 * listed check never ran is a bug and throws: no check can be forgotten silently.
 */
export class CheckLedger {
  readonly #found = new Map<string, Check>();
  #failed: Check | undefined;

  constructor(private readonly order: readonly string[]) {}

  /** Takes over checks that another stage ran. */
  absorb(checks: readonly Check[]): void {
    for (const check of checks) this.#add(check);
  }

  /** Records a finding; answers whether it held. */
  record(name: string, finding: Finding): boolean {
    if (this.#failed !== undefined) throw new TypeError(`check ${name} ran after ${this.#failed.name} had failed`);
    this.#add({ name, outcome: finding.ok ? 'pass' : 'fail', detail: finding.detail });
    return finding.ok;
  }

  /** The check that failed, if any did. */
  get failed(): Check | undefined {
    return this.#failed;
  }

  /** Every check of the list, in order. Throws TypeError when nothing failed and a check is missing. */
  close(): Check[] {
    const failed = this.#failed;
    return this.order.map((name) => {
      const check = this.#found.get(name);
      if (check !== undefined) return check;
      if (failed === undefined) throw new TypeError(`check ${name} was neither run nor skipped`);
      return { name, outcome: 'skipped', detail: `not reached: ${failed.name} failed` };
    });
  }

  #add(check: Check): void {
    if (!this.order.includes(check.name)) throw new TypeError(`check ${check.name} is not on the list`);
    if (this.#found.has(check.name)) throw new TypeError(`check ${check.name} ran twice`);
    const kept = { ...check, detail: check.detail.slice(0, DETAIL_LIMIT) };
    this.#found.set(check.name, kept);
    if (kept.outcome === 'fail') this.#failed ??= kept;
  }
}
