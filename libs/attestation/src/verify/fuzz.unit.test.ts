import { describe, expect, it } from 'vitest';
import { type ParsedQuote, parseQuote } from '../abi/index.js';
import { parseEventLog, replayRtmr } from '../event-log/index.js';
import { GenuinePieces } from '../testing/genuine-pieces.js';
import { Dice, mutateBytes, mutateCollateral, mutateText } from '../testing/mutate.js';
import { TEST_NOW, TestPlatform } from '../testing/test-platform.js';
import { QuoteVerificationError } from './quote-verification-error.js';
import { QuoteVerifier } from './quote-verifier.js';

/** The short form of `npm run bench -- fuzz`. */
const INPUTS = 4000;
const seed = Number(process.env.VOUCH_FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 32));
const dice = new Dice(seed);

const platforms = [new TestPlatform(), new TestPlatform()];
const quotes = platforms.flatMap((platform) => [platform.quote(), platform.quote({ version: 5 })]);
const collaterals = platforms.flatMap((platform) => [
  platform.collateral(),
  platform.collateral({ levels: [{ status: 'OutOfDate', advisories: ['INTEL-SA-1'] }] }),
]);
const verifier = new QuoteVerifier({ trustAnchors: platforms.map(({ trustAnchor }) => trustAnchor) });
const genuine = new GenuinePieces();
for (const quote of quotes) genuine.addQuote(parsed(quote));
for (const collateral of collaterals) genuine.addCollateral(collateral);

function parsed(bytes: Uint8Array): ParsedQuote {
  const result = parseQuote(bytes);
  if (!result.ok) throw new Error(result.failed.detail);
  return result.quote;
}

describe(`edited inputs (VOUCH_FUZZ_SEED=${seed})`, () => {
  it('are refused with a code, or consist of genuine pieces', () => {
    let accepted = 0;
    for (let i = 0; i < INPUTS; i += 1) {
      const at = dice.below(quotes.length);
      const [quote, collateral] = [quotes[at], collaterals[at]];
      if (quote === undefined || collateral === undefined) throw new Error('unreachable');
      const editQuote = dice.below(3) > 0;
      const input = {
        quote: editQuote ? mutateBytes(quote, dice, quotes) : quote,
        collateral: editQuote ? collateral : mutateCollateral(collateral, dice, collaterals),
      };
      try {
        const { verified } = verifier.verify({ ...input, now: TEST_NOW });
        expect(genuine.foreign(verified.quote, input.collateral)).toEqual([]);
        accepted += 1;
      } catch (error) {
        if (!(error instanceof QuoteVerificationError)) throw error;
        expect(error.code).toMatch(/^[A-Z_]+$/);
      }
    }
    expect(accepted).toBeGreaterThan(0);
  });

  it('of event logs are refused as values, or replay', () => {
    const log = JSON.stringify([
      { imr: 0, event_type: 4, digest: 'ab'.repeat(48), event: 'boot', event_payload: '00' },
      { imr: 3, event_type: 0x08000001, digest: '', event: 'app-id', event_payload: 'cd'.repeat(20) },
    ]);
    for (let i = 0; i < INPUTS; i += 1) {
      const result = parseEventLog(mutateText(log, dice));
      if (result.ok) for (const imr of [0, 1, 2, 3] as const) expect(replayRtmr(result.events, imr)).toHaveLength(48);
    }
  });
});
