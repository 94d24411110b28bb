/** Bounds of a signed document, ISO 8601 UTC to the second, as Intel writes them. */
export interface ValidityWindow {
  readonly issueDate: string;
  readonly nextUpdate: string;
}

const DAY_MS = 24 * 3_600_000;
const LIFETIME_MS = 30 * DAY_MS;
/** Signed again this long after issue: long before expiry, and seldom enough that caches and logs stay small. */
const REFRESH_AFTER_MS = DAY_MS;
/** Documents start a little in the past, so that a verifier whose clock is slightly behind accepts them. */
const BACKDATE_MS = 60_000;

export function windowAt(now: Date): ValidityWindow {
  return {
    issueDate: toSeconds(new Date(now.getTime() - BACKDATE_MS)),
    nextUpdate: toSeconds(new Date(now.getTime() + LIFETIME_MS)),
  };
}

/** True when documents of this window should be signed again: a day old, or from a future a clock has left. */
export function isStale(window: ValidityWindow, now: Date): boolean {
  const age = now.getTime() - Date.parse(window.issueDate);
  return !(age >= 0 && age < REFRESH_AFTER_MS);
}

/** ISO 8601 UTC without milliseconds. */
export function toSeconds(date: Date): string {
  return `${date.toISOString().slice(0, 19)}Z`;
}
