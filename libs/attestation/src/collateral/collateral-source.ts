import type { ParsedQuote } from '../abi/parsed-quote.js';
import type { QuoteCollateralV3 } from './quote-collateral.js';

/** Where collateral comes from: `CollateralClient` asks endpoints, `CollateralBundle` reads what a file holds. */
export interface CollateralSource {
  /** @throws CollateralUnavailableError, also when the quote carries no readable PCK certificate */
  collateralFor(quote: ParsedQuote): Promise<QuoteCollateralV3>;
}
