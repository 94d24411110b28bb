import type { QuoteCollateralV3 } from '../collateral/quote-collateral.js';
import { equalPieces } from '../verify/collateral-generation.js';

/** Exact collateral under a number that is never given twice. */
export interface Numbered {
  readonly id: number;
  readonly pieces: QuoteCollateralV3;
}

/** Numbers for exact sets of collateral, so that each is sent to a thread once. Bounded; the least recently used leaves. */
export class CollateralIds {
  private readonly entries: Numbered[] = [];
  private count = 0;

  constructor(private readonly limit: number) {}

  /** The number of exactly these pieces; `forgotten` is called with one that is given up. */
  idOf(pieces: QuoteCollateralV3, forgotten: (id: number) => void): Numbered {
    const at = this.entries.findIndex((entry) => equalPieces(entry.pieces, pieces));
    const known = this.entries[at];
    if (known !== undefined) {
      if (at > 0) this.entries.unshift(...this.entries.splice(at, 1));
      return known;
    }
    this.count += 1;
    const added = { id: this.count, pieces };
    this.entries.unshift(added);
    if (this.entries.length > this.limit) {
      const oldest = this.entries.pop();
      if (oldest !== undefined) forgotten(oldest.id);
    }
    return added;
  }
}
