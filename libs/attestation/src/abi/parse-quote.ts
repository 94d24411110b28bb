import type { Check, Refused } from '../check.js';
import type { ParsedQuote } from './parsed-quote.js';

export type ParseQuoteResult =
  | { readonly ok: true; readonly quote: ParsedQuote; readonly checks: readonly Check[] }
  | (Refused & {
      /** Offset in the quote at which the format broke, in bytes. */
      readonly offset: number;
    });

export function parseQuote(_bytes: Uint8Array): ParseQuoteResult {
  throw new Error('not implemented');
}
