import type { Check, Refused } from '../check.js';
import { CheckSheet } from '../check-sheet.js';
import { Refusal } from '../refusal.js';

/** What every decoder of outside bytes returns: the value with its one check, or the refusal with code and offset. */
export type Decoded<T> =
  | { readonly ok: true; readonly value: T; readonly checks: readonly Check[] }
  | (Refused & {
      /** Offset in the input at which the format broke, in bytes; -1 where there is none. */
      readonly offset: number;
    });

/** Runs one decoder as the check `name`; refusals become values, everything else is a bug and is let through. */
export function decode<T>(name: string, read: () => T, detail: (value: T) => string): Decoded<T> {
  const sheet = new CheckSheet([name]);
  let offset = -1;
  const result = sheet.settle(() =>
    sheet.step(
      name,
      () => {
        try {
          return read();
        } catch (error) {
          if (error instanceof Refusal) offset = error.offset;
          throw error;
        }
      },
      detail,
    ),
  );
  return result.ok ? result : { ...result, offset };
}
