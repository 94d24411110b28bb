import { parentPort, workerData } from 'node:worker_threads';
import type { QuoteCollateralV3 } from '../collateral/quote-collateral.js';
import { QuoteVerificationError } from '../verify/quote-verification-error.js';
import { QuoteVerifier } from '../verify/quote-verifier.js';
import { VerdictSlots } from './verdict-slots.js';
import {
  type Batch,
  type BatchResult,
  ITEM_NUMBERS,
  type RefusedQuote,
  type SharedVerdict,
  type ThreadOptions,
} from './wire.js';

/** One thread of a `QuoteVerifierPool`: a verifier of its own, fed with batches until it is told to stop. */
const verifier = new QuoteVerifier(workerData as ThreadOptions);
const slots = new VerdictSlots();
const collateral = new Map<number, QuoteCollateralV3>();
const port = parentPort;
if (port === null) throw new Error('pool-thread runs as a worker thread of QuoteVerifierPool only');

port.on('message', (message: Batch | 'stop') => {
  if (message === 'stop') port.close();
  else port.postMessage(run(message));
});

function run(batch: Batch): BatchResult {
  for (const { id, pieces } of batch.collateral) collateral.set(id, pieces);
  const count = batch.items.length / ITEM_NUMBERS;
  const [results, verdicts, refused] = [new Int32Array(count), [] as SharedVerdict[], [] as RefusedQuote[]];
  for (let index = 0; index < count; index += 1) {
    const [start = 0, end = 0, id = 0, now = 0] = batch.items.subarray(
      index * ITEM_NUMBERS,
      (index + 1) * ITEM_NUMBERS,
    );
    const pieces = collateral.get(id);
    if (pieces === undefined) throw new Error(`batch ${batch.id} names collateral ${id}, which was never sent`);
    try {
      const verdict = verifier.verify({
        quote: batch.bytes.subarray(start, end),
        collateral: pieces,
        now: new Date(now),
      });
      results[index] = slots.slotOf(verdict, index, verdicts);
    } catch (error) {
      if (!(error instanceof QuoteVerificationError)) throw error;
      const { code, failed, checks, tcbStatus, offset } = error;
      results[index] = -1;
      refused.push({ index, code, failed, checks, tcbStatus, offset });
    }
  }
  // Last, because quotes of this very batch may still be about it.
  for (const id of batch.forget) collateral.delete(id);
  return { id: batch.id, slots: results, verdicts, refused };
}
