import { parseEventLog, QuoteVerifier, QuoteVerifierPool, replayRtmr, type VerifierInput } from '@vouch/attestation';
import { type Bench, type BenchResult, type Contender, interleaved, median, medianRatio } from './harness.js';
import { type VerifyInputs, verifyInputs } from './verify-inputs.js';
import { nativeWork } from './verify-limits.js';
import { memoryOver } from './verify-memory.js';
import { peers } from './verify-peers.js';

const ROUNDS = 31;
const SLICE_MS = 40;
const POOL_ROUNDS = 7;
const POOL_THREADS = 2;
const POOL_MS = 400;
const MEMORY_VERIFICATIONS = 1_000_000;
/** ECDSA verifications V and key imports K that each tier cannot do without. */
const TIERS = {
  cold: { verifies: 9, imports: 2 },
  collateralCached: { verifies: 3, imports: 2 },
  chainCached: { verifies: 2, imports: 1 },
  hot: { verifies: 1, imports: 0 },
} as const;
type Tier = keyof typeof TIERS;

/** Quotes per second of every tier on one thread, against the native work it contains and the published npm verifiers. */
export const verifyBench: Bench = {
  name: 'verify',
  summary: 'quote verification: cold, collateral cached, chain cached, hot; event log replay; pool; memory',
  run: async (say): Promise<BenchResult> => {
    const setting = verifyInputs();
    say(setting.source);
    const figures = await interleaved(ROUNDS, { ...native(setting), ...tiers(setting), ...logs(setting) }, say);
    const perTier = (Object.keys(TIERS) as Tier[]).map((tier) => {
      const { verifies, imports } = TIERS[tier];
      const limits = figures.verify.map(
        (perSecond, round) => 1 / (verifies / perSecond + imports / (figures.importKey[round] ?? Number.NaN)),
      );
      return {
        tier,
        perSecond: median(figures[tier]),
        limit: median(limits),
        ratio: medianRatio(figures[tier], limits),
      };
    });
    const others = setting.trustAnchors === undefined ? await againstPeers(setting, say) : noPeers(say);
    const pool = await poolRatios(setting, say);
    const memory = memoryOver(MEMORY_VERIFICATIONS, setting, say);
    return {
      metrics: {
        ...Object.fromEntries(perTier.map(({ tier, perSecond }) => [`${tier}PerSecond`, perSecond])),
        eventLogReplayMicros: 1e6 / median(figures.replay),
        eventLogParseMicros: 1e6 / median(figures.parseLog),
        poolHotPerSecond: pool.hot.pooled,
        poolColdPerSecond: pool.cold.pooled,
        memoryVerifications: memory.verifications,
        memoryLiveGrowthMiB: memory.liveGrowthMiB,
        memoryResidentGrowthMiB: memory.residentGrowthMiB,
      },
      peers: {
        nativeVerifyMicros: 1e6 / median(figures.verify),
        nativeImportMicros: 1e6 / median(figures.importKey),
        nativeImportJwkMicros: 1e6 / median(figures.importJwk),
        ...Object.fromEntries(perTier.map(({ tier, limit }) => [`${tier}LimitPerSecond`, limit])),
        ...others.peers,
      },
      ratios: {
        ...Object.fromEntries(perTier.map(({ tier, ratio }) => [`${tier}OfLimit`, ratio])),
        ...others.ratios,
        poolHot: pool.hot.ratio,
        poolCold: pool.cold.ratio,
      },
    };
  },
};

/**
 * Runs `once` for a slice of time; answers how often per second of processor time of this process (all of its threads),
 * so that what else runs on the machine counts for little. On an idle machine that is wall time and a bit.
 */
function perSecond(once: () => void): Contender {
  return async () => {
    const before = process.cpuUsage();
    const until = performance.now() + SLICE_MS;
    let count = 0;
    while (performance.now() < until) {
      for (let i = 0; i < 4; i += 1) once();
      count += 4;
    }
    const { user, system } = process.cpuUsage(before);
    return (count / (user + system)) * 1e6;
  };
}

/** The same by the clock on the wall. */
function perWallSecond(once: () => void): Contender {
  return async () => {
    const began = performance.now();
    let count = 0;
    for (; performance.now() - began < POOL_MS; count += 1) once();
    return (count / (performance.now() - began)) * 1000;
  };
}

/** Something of `list` after the other. */
function inTurn<T>(list: readonly T[], use: (entry: T) => void): () => void {
  let turn = 0;
  return () => {
    turn = (turn + 1) % list.length;
    use(list[turn] as T);
  };
}

function native({ inputs }: VerifyInputs) {
  const work = nativeWork(inputs);
  return {
    verify: perSecond(work.verify),
    importKey: perSecond(work.importKey),
    importJwk: perSecond(work.importJwk),
  };
}

/** Caches of one entry under quotes in turn: every lookup misses and every result is kept, as with a stream of new hosts. */
function tiers({ inputs, trustAnchors }: VerifyInputs): Record<Tier, Contender> {
  const anchors = trustAnchors === undefined ? {} : { trustAnchors };
  const tier = (options: { collateralMax?: number; platformsMax?: number; enclavesMax?: number }): Contender => {
    const verifier = new QuoteVerifier({ ...anchors, ...options });
    return perSecond(inTurn(inputs, (input) => void verifier.verify(input)));
  };
  return {
    cold: tier({ collateralMax: 0 }),
    collateralCached: tier({ platformsMax: 1, enclavesMax: 1 }),
    chainCached: tier({ enclavesMax: 1 }),
    hot: tier({}),
  };
}

function logs({ events, eventLog }: VerifyInputs) {
  return {
    replay: perSecond(() => {
      for (const imr of [0, 1, 2, 3] as const) replayRtmr(events, imr);
    }),
    parseLog: perSecond(() => {
      if (!parseEventLog(eventLog).ok) throw new Error('the event log does not parse');
    }),
  };
}

/** Ours and the peers on the same quotes, in a run of their own: a peer takes as long as a slice of the others. */
async function againstPeers(setting: VerifyInputs, say: (line: string) => void) {
  const { dcapQvl, dcapQvlWeb } = peers();
  const { cold, hot } = tiers(setting);
  const contenders = {
    cold,
    hot,
    dcapQvl: perSecond(inTurn(setting.inputs, (input) => void dcapQvl(input))),
    dcapQvlWeb: perSecond(inTurn(setting.inputs, (input) => void dcapQvlWeb(input))),
  };
  const figures = await interleaved(ROUNDS, contenders, say);
  const faster = median(figures.dcapQvl) > median(figures.dcapQvlWeb) ? figures.dcapQvl : figures.dcapQvlWeb;
  return {
    peers: { dcapQvlPerSecond: median(figures.dcapQvl), dcapQvlWebPerSecond: median(figures.dcapQvlWeb) },
    ratios: { coldVsFasterPeer: medianRatio(figures.cold, faster), hotVsFasterPeer: medianRatio(figures.hot, faster) },
  };
}

function noPeers(say: (line: string) => void): { readonly peers: object; readonly ratios: object } {
  say('peers skipped: they trust the Intel root only, and there are no real quotes here');
  return { peers: {}, ratios: {} };
}

interface PoolFigures {
  readonly pooled: number;
  readonly ratio: number;
}

/** The same quotes through a pool of two threads and on this thread alone. */
async function poolRatios(
  { inputs, trustAnchors }: VerifyInputs,
  say: (line: string) => void,
): Promise<{ readonly hot: PoolFigures; readonly cold: PoolFigures }> {
  const anchors = trustAnchors === undefined ? {} : { trustAnchors };
  const measure = async (options: { collateralMax?: number }): Promise<PoolFigures> => {
    await using pool = new QuoteVerifierPool({ ...anchors, ...options, threads: POOL_THREADS });
    const verifier = new QuoteVerifier({ ...anchors, ...options });
    const figures = await interleaved(
      POOL_ROUNDS,
      {
        single: perWallSecond(inTurn(inputs, (input) => void verifier.verify(input))),
        pooled: () => throughPool(pool, inputs),
      },
      say,
    );
    return { pooled: median(figures.pooled), ratio: medianRatio(figures.pooled, figures.single) };
  };
  return { hot: await measure({}), cold: await measure({ collateralMax: 0 }) };
}

async function throughPool(pool: QuoteVerifierPool, inputs: readonly VerifierInput[]): Promise<number> {
  const began = performance.now();
  let count = 0;
  function* endless(): Generator<VerifierInput> {
    for (let turn = 0; performance.now() - began < POOL_MS; turn += 1)
      yield inputs[turn % inputs.length] as VerifierInput;
  }
  for await (const outcome of pool.verifyAll(endless())) {
    if (!outcome.ok) throw outcome.error;
    count += 1;
  }
  return (count / (performance.now() - began)) * 1000;
}
