import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { QuoteVerifier } from '@vouch/attestation';
import type { VerifyInputs } from './verify-inputs.js';

/** Every so many verifications one comes from a PCK chain never seen before. */
const NEW_CHAIN_EVERY = 25;
/** Memory is looked at this often; before the first look, caches fill and code is compiled. */
const LOOKS = 10;

export interface MemoryFigures {
  readonly verifications: number;
  /** Live bytes (heap and buffers after a full collection) at the end above those at the first look, in MiB. */
  readonly liveGrowthMiB: number;
  /** Resident memory at its highest look above that of the first, in MiB. */
  readonly residentGrowthMiB: number;
}

/**
 * Verifies many quotes with one verifier, most of them known, some with a chain that is new (the white space of its PEM
 * counts up) and some refused, and looks at memory on the way.
 */
export function memoryOver(
  count: number,
  { inputs, trustAnchors }: VerifyInputs,
  say: (line: string) => void,
): MemoryFigures {
  const verifier = new QuoteVerifier(trustAnchors === undefined ? {} : { trustAnchors });
  const collect = garbageCollector();
  const live: number[] = [];
  const resident: number[] = [];
  for (let i = 1; i <= count; i += 1) {
    const input = inputs[i % inputs.length];
    if (input === undefined) throw new Error('no inputs');
    const quote = i % NEW_CHAIN_EVERY === 0 ? withNewChain(input.quote, i) : input.quote;
    try {
      verifier.verify({ ...input, quote });
    } catch (error) {
      if (i % NEW_CHAIN_EVERY !== 0) throw error;
    }
    if (i % Math.floor(count / LOOKS) !== 0) continue;
    collect();
    const { heapUsed, external, rss } = process.memoryUsage();
    live.push(heapUsed + external);
    resident.push(rss);
    say(`${i} verifications: ${mib(live.at(-1) ?? 0)} MiB live, ${mib(rss)} MiB resident`);
  }
  return {
    verifications: count,
    liveGrowthMiB: ((live.at(-1) ?? 0) - (live[0] ?? 0)) / 2 ** 20,
    residentGrowthMiB: (Math.max(...resident) - (resident[0] ?? 0)) / 2 ** 20,
  };
}

/** The same quote with other white space in its PEM chain, 2^20 different ones: a newline becomes a space or a tab. */
function withNewChain(quote: Uint8Array, count: number): Uint8Array {
  const changed = new Uint8Array(quote);
  const begin = Buffer.from(changed.buffer).indexOf('-----BEGIN CERTIFICATE-----\n') + 27;
  let at = begin;
  for (let bits = count, left = 20; left > 0 && at >= 0; left -= 1, bits >>= 1) {
    if ((bits & 1) === 1) changed[at] = 0x20;
    at = changed.indexOf(0x0a, at + 1);
  }
  return changed;
}

/** A full collection on demand. */
export function garbageCollector(): () => void {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  if (typeof collect !== 'function') throw new Error('this Node exposes no garbage collector');
  return () => void collect();
}

const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);
