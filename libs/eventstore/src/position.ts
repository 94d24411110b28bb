/** Throws RangeError unless `value` is a whole number from `least` on: a position in the log. */
export function assertPosition(name: string, value: number, least: 0 | 1): void {
  if (!Number.isSafeInteger(value) || value < least) {
    throw new RangeError(`${name}: ${value} is not a position in the log; expected ${least} or more`);
  }
}
