import { performance } from 'node:perf_hooks';
import { parseEventLog, parseQuote, QuoteVerificationError, QuoteVerifier, replayRtmr } from '@vouch/attestation';
import { Dice, GenuinePieces, mutateBytes, mutateCollateral, mutateText } from '@vouch/attestation/testing';
import type { Bench, BenchResult } from './harness.js';
import { type VerifyInput, type VerifyInputs, verifyInputs } from './verify-inputs.js';
import { garbageCollector } from './verify-memory.js';

const INPUTS = Number(process.env.VOUCH_FUZZ_INPUTS ?? 1_000_000);
const SEED = Number(process.env.VOUCH_FUZZ_SEED ?? 20_260_101);
const INPUT_LIMIT_MS = 50;
const MEMORY_LIMIT_MIB = 64;
/** Inputs until code is compiled and caches are full: memory is counted from there. */
const WARM_UP = 20_000;
const LOOK_EVERY = 10_000;

/** Mutated quotes, collateral and event logs in large numbers; throws when a rule is broken. */
export const fuzzBench: Bench = {
  name: 'fuzz',
  summary: `mutated quotes, collateral and event logs (VOUCH_FUZZ_INPUTS=${INPUTS} VOUCH_FUZZ_SEED=${SEED})`,
  run: async (say): Promise<BenchResult> => {
    const setting = verifyInputs();
    say(setting.source);
    const dice = new Dice(SEED);
    const one = fuzzer(setting, dice);
    const collect = garbageCollector();
    const counts = { accepted: 0, refused: 0 };
    const codes = new Map<string, number>();
    let slowestMs = 0;
    let start: Memory | undefined;
    let above: Memory = { live: 0, resident: 0 };
    for (let i = 1; i <= WARM_UP + INPUTS; i += 1) {
      const run = one();
      const began = performance.now();
      const outcome = run();
      let tookMs = performance.now() - began;
      // A pause of the machine is not the input's: what is slow is slow again.
      if (tookMs > INPUT_LIMIT_MS / 20) tookMs = Math.min(tookMs, again(run), again(run), again(run));
      if (i > WARM_UP) {
        slowestMs = Math.max(slowestMs, tookMs);
        counts[outcome === 'accepted' ? 'accepted' : 'refused'] += 1;
        codes.set(outcome, (codes.get(outcome) ?? 0) + 1);
      }
      if (i % LOOK_EVERY !== 0) continue;
      collect();
      const now = memory();
      if (i >= WARM_UP) start ??= now;
      if (start !== undefined) above = highest(above, now, start);
      if (i % (10 * LOOK_EVERY) === 0)
        say(`${i} inputs: ${counts.accepted} accepted, slowest ${slowestMs.toFixed(2)} ms`);
    }
    for (const [code, count] of [...codes].sort((a, b) => b[1] - a[1])) say(`${String(count).padStart(8)} ${code}`);
    if (slowestMs > INPUT_LIMIT_MS) throw new Error(`an input took ${slowestMs.toFixed(1)} ms`);
    if (above.live > MEMORY_LIMIT_MIB) throw new Error(`memory in use rose by ${above.live.toFixed(1)} MiB`);
    return {
      metrics: {
        inputs: INPUTS,
        seed: SEED,
        ...counts,
        slowestInputMs: slowestMs,
        memoryAboveStartMiB: above.live,
        residentAboveStartMiB: above.resident,
      },
      peers: { inputLimitMs: INPUT_LIMIT_MS, memoryLimitMiB: MEMORY_LIMIT_MIB },
      ratios: {},
    };
  },
};

/** In MiB, after a full collection: what is in use (heap and buffers), and what the process holds of the machine. */
interface Memory {
  readonly live: number;
  readonly resident: number;
}

function memory(): Memory {
  const { heapUsed, external, rss } = process.memoryUsage();
  return { live: (heapUsed + external) / 2 ** 20, resident: rss / 2 ** 20 };
}

function highest(above: Memory, now: Memory, start: Memory): Memory {
  return {
    live: Math.max(above.live, now.live - start.live),
    resident: Math.max(above.resident, now.resident - start.resident),
  };
}

function again(run: () => unknown): number {
  const began = performance.now();
  run();
  return performance.now() - began;
}

/** Makes inputs: each call answers one to run, which answers `accepted` or the code it was refused with. */
function fuzzer({ inputs, trustAnchors, eventLog }: VerifyInputs, dice: Dice): () => () => string {
  const verifier = new QuoteVerifier(trustAnchors === undefined ? {} : { trustAnchors });
  const quotes = inputs.map(({ quote }) => quote);
  const collaterals = inputs.map(({ collateral }) => collateral);
  const genuine = new GenuinePieces();
  for (const { quote, collateral } of inputs) {
    const parsed = parseQuote(quote);
    if (parsed.ok) genuine.addQuote(parsed.quote);
    genuine.addCollateral(collateral);
  }
  const verify = (input: VerifyInput): string => {
    try {
      const { verified } = verifier.verify(input);
      const foreign = genuine.foreign(verified.quote, input.collateral);
      if (foreign.length > 0) throw new Error(`accepted although nobody signed: ${foreign.join(', ').slice(0, 500)}`);
      return 'accepted';
    } catch (error) {
      if (error instanceof QuoteVerificationError) return error.code;
      throw error;
    }
  };
  const replay = (text: string): string => {
    const log = parseEventLog(text);
    if (!log.ok) return log.code;
    for (const imr of [0, 1, 2, 3] as const) replayRtmr(log.events, imr);
    return 'event log replayed';
  };
  return () => {
    const kind = dice.below(20);
    if (kind < 3) {
      const text = mutateText(eventLog, dice);
      return () => replay(text);
    }
    const input = dice.oneOf(inputs);
    const edited: VerifyInput =
      kind < 15
        ? { ...input, quote: mutateBytes(input.quote, dice, quotes) }
        : { ...input, collateral: mutateCollateral(input.collateral, dice, collaterals) };
    return () => verify(edited);
  };
}
