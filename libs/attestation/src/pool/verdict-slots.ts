import type { Check } from '../check.js';
import type { QuoteVerdict, VerifiedVerdict } from '../verify/quote-verdict.js';
import type { SharedVerdict } from './wire.js';

const SLOTS = 64;

/**
 * Quotes of one platform at one time get one and the same verdict, and copying it to another thread costs more than a
 * known platform costs to verify. Each distinct verdict therefore travels once, into one of a fixed number of slots; a
 * slot is used again, oldest first, and both ends see that in the same order.
 */
export class VerdictSlots {
  private readonly slots: QuoteVerdict[] = [];
  private next = 0;
  private latest = 0;

  /** The slot of an equal verdict; a new one goes to `news` for the other end. */
  slotOf(found: VerifiedVerdict, index: number, news: SharedVerdict[]): number {
    const latest = this.slots[this.latest];
    if (latest !== undefined && equalVerdicts(latest, found)) return this.latest;
    const known = this.slots.findIndex((candidate) => equalVerdicts(candidate, found));
    if (known < 0) {
      const { verified: _, ...verdict } = found;
      this.slots[this.next] = verdict;
      news.push({ index, slot: this.next, verdict });
    }
    this.latest = known < 0 ? this.next : known;
    if (known < 0) this.next = (this.next + 1) % SLOTS;
    return this.latest;
  }
}

function equalVerdicts(a: QuoteVerdict, b: QuoteVerdict): boolean {
  return (
    a.status === b.status &&
    a.debug === b.debug &&
    a.tee === b.tee &&
    a.platformStatus === b.platformStatus &&
    a.moduleStatus === b.moduleStatus &&
    a.qeStatus === b.qeStatus &&
    a.tcbDate === b.tcbDate &&
    a.tcbEvaluationDataNumber === b.tcbEvaluationDataNumber &&
    a.fmspc === b.fmspc &&
    a.pceId === b.pceId &&
    a.trustAnchor === b.trustAnchor &&
    a.notBefore.getTime() === b.notBefore.getTime() &&
    a.notAfter.getTime() === b.notAfter.getTime() &&
    equalTexts(a.advisoryIds, b.advisoryIds) &&
    equalChecks(a.checks, b.checks)
  );
}

function equalTexts(a: readonly string[], b: readonly string[]): boolean {
  return a === b || (a.length === b.length && a.every((text, i) => text === b[i]));
}

function equalChecks(a: readonly Check[], b: readonly Check[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i += 1) {
    const [left, right] = [a[i], b[i]];
    if (left === right) continue;
    if (left?.detail !== right?.detail || left?.outcome !== right?.outcome || left?.name !== right?.name) return false;
  }
  return true;
}
