import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Assembled, applyMutation, assembleCase, type CorpusCase, type Mutation } from './quote-corpus.js';

interface Adapter {
  verify(input: { quote: Uint8Array; collateral: unknown; now: unknown }): {
    readonly status: string;
    readonly advisoryIds: readonly string[];
  };
}

const path = join(import.meta.dirname, 'adapter.mjs');
const { verify }: Adapter = await import(path);
const vectors = resolve(process.env.VOUCH_VECTORS ?? resolve(import.meta.dirname, '../../../shared/vectors'));
const corpus = join(vectors, 'quotes/corpus');
const present = existsSync(join(corpus, 'cases.json'));
if (!present) console.log(`skipped: no vectors at ${vectors}`);

function list<T>(name: string): readonly T[] {
  return present ? (JSON.parse(readFileSync(join(corpus, name), 'utf8')) as readonly T[]) : [];
}

/** Status and advisories as one text, or the code of the refusal. */
function answer(input: Assembled | { quote: Uint8Array; collateral: unknown; now: unknown }): string {
  try {
    const { status, advisoryIds } = verify(input);
    return `${status} ${advisoryIds.toSorted().join(',')}`;
  } catch (error) {
    return `error ${(error as { code?: string }).code}`;
  }
}

describe('the adapter', () => {
  it.each<[string, Uint8Array, unknown]>([
    ['QUOTE_TRUNCATED', new Uint8Array(100), {}],
    ['QUOTE_VERSION', new Uint8Array(2000), {}],
  ])('throws an error with code %s', (code, quote, collateral) => {
    expect(answer({ quote, collateral, now: 1_751_624_191 })).toBe(`error ${code}`);
  });

  it('runs under plain Node on the build', () => {
    const script = `import(${JSON.stringify(path)}).then(({ verify }) => verify({ quote: new Uint8Array(9), collateral: {}, now: 1 })).catch((error) => console.log(error.name, error.code))`;
    const out = execFileSync(process.execPath, ['-e', script], { encoding: 'utf8' });
    expect(out.trim()).toBe('QuoteVerificationError QUOTE_TRUNCATED');
  });
});

describe.skipIf(!present)('the adapter over the corpus', () => {
  const cases = list<CorpusCase>('cases.json');
  const byId = new Map(cases.map((entry) => [entry.id, entry]));
  const expected = ({ expected: wanted }: CorpusCase): string =>
    wanted.result === 'error' ? `error ${wanted.error}` : `${wanted.status} ${wanted.advisoryIds.toSorted().join(',')}`;

  it('answers every case as listed', () => {
    const wrong = cases.filter((entry) => answer(assembleCase(corpus, entry)) !== expected(entry));
    expect(wrong.map(({ id }) => id)).toEqual([]);
  });

  it('answers every variant as listed', () => {
    const wrong = list<Mutation>('mutations.json').filter((mutation) => {
      const base = byId.get(mutation.base);
      if (base === undefined) return true;
      const seen = answer(applyMutation(corpus, assembleCase(corpus, base), mutation, byId));
      return mutation.expect === 'reject' ? !seen.startsWith('error ') : seen !== expected(base);
    });
    expect(wrong.map(({ id }) => id)).toEqual([]);
  });

  it('takes the time in every usual form, collateral as text, and byte fields as arrays', () => {
    const entry = cases.find(({ expected: wanted }) => wanted.result === 'ok');
    if (entry === undefined) throw new Error('the corpus has no good case');
    const { quote, collateral, now } = assembleCase(corpus, entry);
    const arrays = { ...collateral, pck_crl: [...Buffer.from(collateral.pck_crl, 'hex')] };
    for (const input of [
      { quote, collateral: JSON.stringify(collateral), now: new Date(now * 1000) },
      { quote, collateral: arrays, now: now * 1000 },
      { quote, collateral: { ...collateral, pck_certificate_chain: null }, now: new Date(now * 1000).toISOString() },
    ]) {
      expect(answer(input)).toBe(expected(entry));
    }
    expect(answer({ quote, collateral, now: entry.notAfter + 1 })).toBe('error COLLATERAL_EXPIRED');
  });
});
