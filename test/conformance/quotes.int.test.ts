import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import {
  appraise,
  bindEventLog,
  deriveMeasurements,
  identityFromEventLog,
  parseEventLog,
  parseQuote,
  type QuoteCollateralV3,
  QuoteVerifier,
  replayRtmr,
  type VerifyResult,
  verifyParsedQuote,
} from '@vouch/attestation';
import { afterAll, describe, expect, it } from 'vitest';
import { type Assembled, applyMutation, assembleCase, type CorpusCase, type Mutation } from './quote-corpus.js';

/** Real quotes and collateral; they are not part of the repository. */
const vectors = resolve(process.env.VOUCH_VECTORS ?? resolve(import.meta.dirname, '../../../shared/vectors'));
const corpus = join(vectors, 'quotes/corpus');
const present = existsSync(join(corpus, 'cases.json'));
if (!present) console.log(`skipped: no vectors at ${vectors}`);

const text = (path: string): string => readFileSync(path, 'utf8');
const hex = (bytes: Uint8Array | null): string | null => (bytes === null ? null : Buffer.from(bytes).toString('hex'));
function list<T>(name: string): readonly T[] {
  return present ? (JSON.parse(text(join(corpus, name))) as readonly T[]) : [];
}

const cases = list<CorpusCase>('cases.json');
const byId = new Map(cases.map((entry) => [entry.id, entry]));
const figures: string[] = [];
const digest = (value: string): string => createHash('sha256').update(value).digest('hex');
const unix = (seconds: number): Date => new Date(seconds * 1000);

/** The verdict of the whole verifier, or the code it refuses with. */
function verdict({ quote, collateral, now }: Assembled): VerifyResult | { readonly ok: false; readonly code: string } {
  const parsed = parseQuote(quote);
  return parsed.ok ? verifyParsedQuote(parsed.quote, collateral, { now: unix(now) }) : parsed;
}

/** What `compare` of the corpus looks at, as one text. */
function summary(result: ReturnType<typeof verdict>): string {
  if (!result.ok) return `error ${result.code}`;
  return `${result.quote.tcb.status} ${result.quote.tcb.advisoryIds.toSorted().join(',')}`;
}

function expected(entry: CorpusCase): string {
  if (entry.expected.result === 'error') return `error ${entry.expected.error}`;
  return `${entry.expected.status} ${entry.expected.advisoryIds.toSorted().join(',')}`;
}

/** Runs all entries and returns the ones that differ, so that one report names them all. */
function differing<T extends { readonly id: string }>(
  entries: readonly T[],
  what: string,
  check: (entry: T) => string | undefined,
) {
  const wrong = entries.map((entry) => [entry.id, check(entry)]).filter(([, problem]) => problem !== undefined);
  figures.push(`${what} ${entries.length - wrong.length}/${entries.length}`);
  return wrong;
}

afterAll(() => {
  if (present) console.log(`quote conformance: ${figures.join(', ')}`);
});

describe.skipIf(!present)('the corpus of real quotes', () => {
  it('every case ends as the reference library says, with the same facts', () => {
    const wrong = differing(cases, 'cases', (entry) => {
      const result = verdict(assembleCase(corpus, entry));
      if (summary(result) !== expected(entry)) return `${summary(result)} instead of ${expected(entry)}`;
      if (!result.ok || entry.expected.result === 'error') return undefined;
      const { tcb, debug, notBefore, notAfter } = result.quote;
      const facts = [tcb.qeStatus, tcb.tcbDate, debug, notBefore.getTime() / 1000, notAfter.getTime() / 1000].join(' ');
      const { qeStatus, tcbDate } = entry.expected;
      const wanted = [qeStatus, tcbDate, entry.expected.debug, entry.notBefore, entry.notAfter].join(' ');
      return facts === wanted ? undefined : `${facts} instead of ${wanted}`;
    });
    expect(wrong).toEqual([]);
  });

  it('both ends of every window are inside, the seconds next to them are not', () => {
    const good = cases.filter((entry) => entry.expected.result === 'ok');
    const wrong = differing(good, 'windows', (entry) => {
      const assembled = assembleCase(corpus, entry);
      const at = (now: number): string => summary(verdict({ ...assembled, now }));
      const seen = [at(entry.notBefore - 1), at(entry.notBefore), at(entry.notAfter), at(entry.notAfter + 1)];
      const wanted = ['error COLLATERAL_NOT_YET_VALID', expected(entry), expected(entry), 'error COLLATERAL_EXPIRED'];
      return seen.join() === wanted.join() ? undefined : seen.join();
    });
    expect(wrong).toEqual([]);
  });

  it('every derived variant is refused, or unchanged where it means the same', () => {
    const wrong = differing(list<Mutation>('mutations.json'), 'variants', (mutation) => {
      const base = byId.get(mutation.base);
      if (base === undefined) return 'no base case';
      const assembled = applyMutation(corpus, assembleCase(corpus, base), mutation, byId);
      const result = verdict(assembled);
      if (mutation.expect === 'reject') return result.ok ? `accepted: ${summary(result)}` : undefined;
      return summary(result) === expected(base) ? undefined : summary(result);
    });
    expect(wrong).toEqual([]);
  });

  it('one verifier with its caches answers every case and variant as the stateless form, in any order', () => {
    const variants = list<Mutation>('mutations.json').flatMap((mutation) => {
      const base = byId.get(mutation.base);
      if (base === undefined) return [];
      return [{ id: mutation.id, ...applyMutation(corpus, assembleCase(corpus, base), mutation, byId) }];
    });
    const all = [...cases.map((entry) => ({ id: entry.id, ...assembleCase(corpus, entry) })), ...variants];
    const verifier = new QuoteVerifier({ collateralMax: 8 });
    const shuffled = [...all, ...all].sort((a, b) => digest(a.id).localeCompare(digest(b.id)));
    const wrong = differing([...all, ...shuffled], 'cached', ({ quote, collateral, now }) => {
      const parsed = parseQuote(quote);
      if (!parsed.ok) return undefined;
      const cached = verifier.verifyParsed(parsed.quote, collateral, unix(now));
      const fresh = verdict({ quote, collateral, now });
      return JSON.stringify(cached) === JSON.stringify(fresh) ? undefined : summary(cached);
    });
    expect(wrong).toEqual([]);
  });

  it('every quote parses to the listed fields', () => {
    const quotes = list<ListedQuote>('quotes.json');
    const wrong = differing(quotes, 'parsed quotes', (entry) => {
      const result = parseQuote(readFileSync(join(corpus, entry.file)));
      if (!result.ok) return entry.parseError === undefined ? result.failed.detail : undefined;
      const { header, report, certification, qeAuthData } = result.quote;
      const shape = [
        header.version,
        header.tee,
        certification.type,
        qeAuthData.length,
        header.qeSvnField,
        header.pceSvnField,
      ];
      const wanted = [entry.version, entry.tee, entry.certType, entry.qeAuthBytes, entry.qeSvnField, entry.pceSvnField];
      if (shape.join() !== wanted.join()) return shape.join();
      const fields = new Map<string, unknown>(Object.entries(report));
      const off = Object.entries(entry.body).filter(([name, value]) => {
        const field = fields.get(name);
        return (field instanceof Uint8Array ? hex(field) : field) !== value;
      });
      return off.length === 0 ? undefined : JSON.stringify(off);
    });
    expect(wrong).toEqual([]);
  });
});

interface ListedQuote {
  readonly id: string;
  readonly file: string;
  readonly version: number;
  readonly tee: string;
  readonly certType: number;
  readonly qeAuthBytes: number;
  readonly qeSvnField: number;
  readonly pceSvnField: number;
  readonly body: Readonly<Record<string, string | number>>;
  readonly parseError?: string;
}

interface ListedLog {
  readonly id: string;
  readonly file: string;
  readonly rtmrs: readonly string[];
  readonly matchesQuotes: readonly string[];
  readonly appComposeFile?: string;
  readonly expected: ExpectedIdentity;
}

interface ExpectedIdentity {
  readonly appId: string;
  readonly composeHash: string;
  readonly instanceId: string;
  readonly osImageHash: string | null;
  readonly rootfsHash: string | null;
  readonly keyProviderInfo: string | null;
  readonly rtmr3AtBootMrDone: string;
  readonly rtmr3Full: string;
  readonly mrSystem: string;
  readonly mrAggregated: string;
  readonly mrAggregatedBoot: string;
}

/** Everything behind verification on one real quote: appraise, bind the log, read the identity, derive measurements. */
function walk(assembled: Assembled, log: string, wanted: ExpectedIdentity): void {
  const verified = verdict(assembled);
  if (!verified.ok || !('quote' in verified)) throw new Error(summary(verified));
  const appraised = appraise(verified.quote, { unsafeAcceptedStatuses: ['OutOfDate', 'SWHardeningNeeded'] });
  if (!appraised.ok) throw new Error(appraised.failed.detail);
  const bound = bindEventLog(appraised.evidence, log);
  if (!bound.ok) throw new Error(bound.failed.detail);
  const read = identityFromEventLog(bound.log);
  if (!read.ok) throw new Error(read.failed.detail);
  const { report } = verified.quote.quote;
  if (report.kind === 'sgx') throw new Error('not a TD');
  const boot = replayRtmr(bound.log.events, 3, 'boot-mr-done');
  const full = deriveMeasurements(report, read.identity.keyProviderInfo);
  const { appId, composeHash, instanceId, osImageHash, rootfsHash, keyProviderInfo } = read.identity;
  const seen: ExpectedIdentity = {
    ...{ appId, composeHash, instanceId, osImageHash, rootfsHash },
    keyProviderInfo: keyProviderInfo === null ? null : Buffer.from(keyProviderInfo).toString('utf8'),
    rtmr3AtBootMrDone: hex(boot) ?? '',
    rtmr3Full: hex(report.rtMr3) ?? '',
    mrSystem: hex(full.mrSystem) ?? '',
    mrAggregated: hex(full.mrAggregated) ?? '',
    mrAggregatedBoot: hex(deriveMeasurements({ ...report, rtMr3: boot }, null).mrAggregated) ?? '',
  };
  expect(seen).toEqual(wanted);
}

describe.skipIf(!present)('real event logs', () => {
  const { logs } = present
    ? (JSON.parse(text(join(corpus, 'eventlogs.json'))) as { logs: readonly ListedLog[] })
    : { logs: [] };

  it('every log replays to the listed registers', () => {
    const wrong = differing(logs, 'event logs', (entry) => {
      const parsed = parseEventLog(text(join(corpus, entry.file)));
      if (!parsed.ok) return parsed.failed.detail;
      const registers = ([0, 1, 2, 3] as const).map((imr) => hex(replayRtmr(parsed.events, imr)));
      return registers.join() === entry.rtmrs.join() ? undefined : registers.join();
    });
    expect(wrong).toEqual([]);
  });

  it('every log whose quote can be verified gives the listed identity and measurements', () => {
    let walked = 0;
    for (const entry of logs) {
      const base = cases.find((one) => entry.matchesQuotes.includes(one.quote) && one.expected.result === 'ok');
      if (base === undefined) continue;
      walk(assembleCase(corpus, base), text(join(corpus, entry.file)), entry.expected);
      if (entry.appComposeFile !== undefined) {
        const compose = readFileSync(join(corpus, entry.appComposeFile));
        expect(createHash('sha256').update(compose).digest('hex')).toBe(entry.expected.composeHash);
      }
      walked += 1;
    }
    figures.push(`identities ${walked}`);
    expect(walked).toBeGreaterThan(0);
  });
});

interface WorkedVector {
  readonly evaluate: { readonly validFrom: string; readonly validTo: string; readonly now: number };
  readonly expected: {
    readonly status: string;
    readonly advisoryIds: readonly string[];
    readonly qeStatus: string;
    readonly tcbDate: string;
    readonly debug: boolean;
  };
  readonly pck: { readonly fmspc: string; readonly pceId: string; readonly ppid: string; readonly pceSvn: number };
  readonly eventLog?: { readonly expected: ExpectedIdentity };
}

describe.skipIf(!present)('worked vectors', () => {
  const all = present
    ? (JSON.parse(text(join(vectors, 'quotes/README.json'))) as { vectors: Readonly<Record<string, WorkedVector>> })
        .vectors
    : {};

  it.each(Object.keys(all))('%s', (name) => {
    const vector = all[name];
    if (vector === undefined) throw new Error(`no vector ${name}`);
    const folder = join(vectors, 'quotes', name);
    const quote = new Uint8Array(readFileSync(join(folder, 'quote.bin')));
    const collateral = JSON.parse(text(join(folder, 'collateral.json'))) as QuoteCollateralV3;
    const assembled: Assembled = { quote, collateral, now: vector.evaluate.now };
    const result = verdict(assembled);
    if (!result.ok || !('quote' in result)) throw new Error(summary(result));
    const { tcb, pck, debug } = result.quote;
    const { status, advisoryIds, qeStatus, tcbDate } = tcb;
    expect({ status, advisoryIds, qeStatus, tcbDate, debug }).toEqual({
      ...{ status: vector.expected.status, advisoryIds: vector.expected.advisoryIds },
      ...{ qeStatus: vector.expected.qeStatus, tcbDate: vector.expected.tcbDate, debug: vector.expected.debug },
    });
    expect({ fmspc: pck.fmspc, pceId: pck.pceId, ppid: hex(pck.ppid), pceSvn: pck.pceSvn }).toMatchObject({
      ...{ fmspc: vector.pck.fmspc, pceId: vector.pck.pceId, ppid: vector.pck.ppid, pceSvn: vector.pck.pceSvn },
    });
    expect(result.quote.notBefore).toEqual(new Date(vector.evaluate.validFrom));
    expect(result.quote.notAfter).toEqual(new Date(vector.evaluate.validTo));
    if (vector.eventLog !== undefined) walk(assembled, text(join(folder, 'event_log.json')), vector.eventLog.expected);
    figures.push(`worked ${name}`);
  });
});
