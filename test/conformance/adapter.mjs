/**
 * The verifier behind the smallest face: for test runners that know nothing of this project. Plain Node, after a build.
 * Trusts the Intel SGX Root CA only. Statuses are named as Intel's quote verification library names them; every refusal
 * throws an error with a stable `code` (a revoked TCB level is a refusal, with `tcbStatus` set).
 */
import { verifyQuote } from '@vouch/attestation';

/** Above it a number is taken for Unix milliseconds, below for Unix seconds. */
const MILLISECONDS_FROM = 100_000_000_000;

/**
 * @param {{ quote: Uint8Array, collateral: object | string, now: number | bigint | string | Date }} input `collateral` is
 *   QuoteCollateralV3 or its JSON text; byte fields may be hex, arrays of numbers or bytes.
 * @returns {{ status: string, advisoryIds: readonly string[] }}
 */
export function verify({ quote, collateral, now }) {
  const { status, advisoryIds, checks } = verifyQuote({ quote, collateral: textFields(collateral), now: toDate(now) });
  return { status, advisoryIds, checks };
}

function textFields(collateral) {
  const fields = typeof collateral === 'string' ? JSON.parse(collateral) : collateral;
  if (typeof fields !== 'object' || fields === null) return fields;
  return Object.fromEntries(
    Object.entries(fields)
      .filter(([, value]) => value !== null && value !== undefined)
      .map(([name, value]) => [name, isBytes(value) ? Buffer.from(value).toString('hex') : value]),
  );
}

function isBytes(value) {
  return value instanceof Uint8Array || (Array.isArray(value) && value.every((byte) => Number.isInteger(byte)));
}

function toDate(now) {
  if (now instanceof Date) return now;
  if (typeof now === 'string' && !/^\d+$/.test(now)) return new Date(now);
  const number = Number(now);
  return new Date(number < MILLISECONDS_FROM ? number * 1000 : number);
}
