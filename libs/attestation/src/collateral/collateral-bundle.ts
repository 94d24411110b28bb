import type { ParsedQuote } from '../abi/parsed-quote.js';
import { readJson } from '../json-reader.js';
import { Refusal } from '../refusal.js';
import { describePlatform } from './authentic-collateral.js';
import type { CollateralSource } from './collateral-source.js';
import { type EndpointFailure, unavailable } from './collateral-unavailable-error.js';
import { parseCollateral } from './parse-collateral.js';
import { type Platform, platformName, platformOf } from './platform.js';
import type { QuoteCollateralV3 } from './quote-collateral.js';
import { readCollateral } from './read-collateral.js';

/** Text that is not a bundle was given as one. Not retryable. */
export class InvalidBundleError extends Error {
  readonly code = 'COLLATERAL_BUNDLE_INVALID';
  readonly retryable = false;
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'InvalidBundleError';
  }
}

const ENTRIES_MAX = 1024;
const CODE = 'COLLATERAL_BUNDLE';

interface Entry {
  readonly collateral: QuoteCollateralV3;
  readonly platform: string;
  readonly evaluationDataNumber: number;
  readonly nextUpdate: number;
}

/**
 * Collateral from a file, for verification without any network. Nothing in it is trusted and no date is judged here:
 * `verifyQuote` does both, and says which piece is wrong.
 */
export class CollateralBundle implements CollateralSource {
  private constructor(private readonly entries: readonly Entry[]) {}

  /**
   * Reads `{"version":1,"collateral":[QuoteCollateralV3, …]}`, or one QuoteCollateralV3 by itself (also with CRLs as
   * arrays of byte values, as some tools write them).
   * @throws InvalidBundleError
   */
  static fromText(text: string): CollateralBundle {
    try {
      const root = readJson(text, 'bundle', CODE);
      if (root.optional('collateral') === undefined) return new CollateralBundle([entryOf(readCollateral(root))]);
      root.member('version').integer(1, 1);
      return new CollateralBundle(root.member('collateral').array(ENTRIES_MAX).map(readCollateral).map(entryOf));
    } catch (error) {
      if (error instanceof Refusal)
        throw new InvalidBundleError(`collateral bundle: ${error.message}`, { cause: error });
      throw error;
    }
  }

  /** The text of a bundle, to be written to a file. */
  static toText(collateral: readonly QuoteCollateralV3[]): string {
    return `${JSON.stringify({ version: 1, collateral }, null, 2)}\n`;
  }

  /** Of several for one platform: the highest evaluation data number, then the latest. @throws CollateralUnavailableError */
  async collateralFor(quote: ParsedQuote): Promise<QuoteCollateralV3> {
    const platform = platformOf(quote);
    const found = this.find(platform);
    if (found === undefined) throw unavailable(platformName(platform), [this.missing(platform)]);
    return found;
  }

  find(platform: Platform): QuoteCollateralV3 | undefined {
    const name = platformName(platform);
    const fitting = this.entries.filter((entry) => entry.platform === name);
    return fitting.toSorted((a, b) => b.evaluationDataNumber - a.evaluationDataNumber || b.nextUpdate - a.nextUpdate)[0]
      ?.collateral;
  }

  missing(platform: Platform): EndpointFailure {
    const held = [...new Set(this.entries.map((entry) => entry.platform))];
    const message = `holds nothing for ${platformName(platform)}, only ${held.join(', ') || 'nothing at all'}`;
    return { endpoint: 'bundle', code: 'NOT_IN_BUNDLE', message, retryable: false };
  }
}

function entryOf(collateral: QuoteCollateralV3): Entry {
  const parsed = parseCollateral(collateral);
  return {
    collateral,
    platform: platformName(describePlatform(parsed)),
    evaluationDataNumber: parsed.tcbInfo.evaluationDataNumber,
    nextUpdate: parsed.tcbInfo.nextUpdate.getTime(),
  };
}
