import type { Check } from '../check.js';
import type { QuoteCollateralV3 } from '../collateral/quote-collateral.js';
import type { QuoteVerdict } from '../verify/quote-verdict.js';
import type { QuoteVerifierOptions } from '../verify/quote-verifier.js';
import type { TcbStatus } from '../verify/tcb-status.js';

/** What a thread is started with. */
export type ThreadOptions = QuoteVerifierOptions;

/** Quotes for one thread: their bytes one after the other in one buffer that is handed over. */
export interface Batch {
  readonly id: number;
  readonly bytes: Uint8Array;
  /** Four numbers per quote: start and end in `bytes`, collateral id, time in Unix milliseconds. */
  readonly items: Float64Array;
  /** Collateral this thread has not seen yet. */
  readonly collateral: readonly { readonly id: number; readonly pieces: QuoteCollateralV3 }[];
  /** Ids that will not be used again after this batch. */
  readonly forget: readonly number[];
}

/** A verdict that many quotes may share: what `slot` means from the quote `index` of its batch on. */
export interface SharedVerdict {
  readonly index: number;
  readonly slot: number;
  readonly verdict: QuoteVerdict;
}

/** A refusal, as the parts an error is built from. */
export interface RefusedQuote {
  readonly index: number;
  readonly code: string;
  readonly failed: Check;
  readonly checks: readonly Check[];
  readonly tcbStatus: TcbStatus | null;
  readonly offset: number | null;
}

export interface BatchResult {
  readonly id: number;
  /** Per quote: the slot of its verdict, or -1 for one of `refused`. */
  readonly slots: Int32Array;
  /** In the order of `index`. */
  readonly verdicts: readonly SharedVerdict[];
  readonly refused: readonly RefusedQuote[];
}

/** Numbers per quote in `Batch.items`. */
export const ITEM_NUMBERS = 4;
