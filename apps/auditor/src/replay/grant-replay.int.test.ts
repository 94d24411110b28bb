import { randomUUID } from 'node:crypto';
import { trustAnchorFromPem } from '@vouch/attestation';
import { type EventData, KeyDirectory, readEvent } from '@vouch/domain';
import { MemoryEventStore } from '@vouch/eventstore';
import { systemClock } from '@vouch/platform';
import { FakeClock, makeTestAuthors } from '@vouch/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AuditDatabases } from '../testing/audit-databases.js';
import { EngineHarness, logIdentity } from '../testing/engine-harness.js';
import { savedHistory } from '../testing/saved-history.js';
import { describeDifference } from './difference.js';
import { type ReplayOptions, replay } from './replay.js';
import type { ReplayReport } from './replay-report.js';
import { reportHtml } from './report-html.js';

const history = savedHistory('first-deploys');
/** Authors beside those of the saved fleet, so that a test can add what a broken or stolen KMS would write. */
const authors = makeTestAuthors({ hosts: ['host-a'], gateways: [] });
const directory = new KeyDirectory({ ...history.trust, keys: [...history.trust.keys, ...authors.trust.keys] });
const anchors = [trustAnchorFromPem(history.rootPem)];
let databases: AuditDatabases;
beforeAll(async () => {
  databases = await AuditDatabases.start();
});
afterAll(() => databases.stop());

type Issued = EventData<'grant.issued'>;
type Submitted = EventData<'attestation.submitted'>;

function dataOf<T>(type: string): { seq: number; id: string; data: T; time: Date } {
  for (const { seq, subject, bytes } of history.events) {
    const { envelope } = readEvent(bytes, subject);
    if (envelope.type !== type) continue;
    return { seq, id: envelope.id, data: envelope.data as unknown as T, time: new Date(envelope.time) };
  }
  throw new Error(`the history has no ${type}`);
}

async function replayed(
  add: (store: MemoryEventStore) => void,
  more: Partial<ReplayOptions> = {},
): Promise<ReplayReport> {
  const clock = new FakeClock();
  const store = new MemoryEventStore({ directory, now: clock.now });
  for (const { subject, bytes } of history.events) {
    store.injectRaw(subject, bytes);
    clock.advance(1_000);
  }
  add(store);
  const { dataSource, url } = await databases.migrated();
  const harness = new EngineHarness({ store, dataSource, authors });
  await harness.signedFor(await store.lastSeq());
  await harness.stop();
  return await replay({
    store,
    live: dataSource,
    databaseUrl: url,
    verifier: logIdentity(authors),
    directory,
    trustAnchors: anchors,
    onProgress: () => undefined,
    signal: new AbortController().signal,
    clock: systemClock,
    ...more,
  });
}

/** A request with other evidence, and the KMS's word that it was granted. */
function falseGrant(change: (evidence: Submitted) => Submitted, grant: Partial<Issued> = {}) {
  return (store: MemoryEventStore): void => {
    const { data, time } = dataOf<Submitted>('attestation.submitted');
    const { data: issued } = dataOf<Issued>('grant.issued');
    const request = authors.event(authors.of('host-worker', 'host-a'), 'attestation.submitted', change(data), { time });
    const requestSeq = store.injectRaw(request.envelope.subject, request.bytes);
    const decision = { ...issued, requestSeq, requestId: request.envelope.id, ...grant };
    const event = authors.event(authors.of('kms'), 'grant.issued', decision, { time });
    store.injectRaw(event.envelope.subject, event.bytes);
  };
}

function withFlippedQuote(at: number) {
  return (data: Submitted): Submitted => {
    const quote = Buffer.from(data.evidence.quote, 'base64');
    quote[at] = (quote[at] ?? 0) ^ 1;
    return { ...data, evidence: { ...data.evidence, quote: quote.toString('base64') } };
  };
}

describe('replay of a saved fleet', () => {
  it('verifies every decision again, issued and denied, and lists what it took as logged', async () => {
    const report = await replayed(() => undefined);
    expect(report).toMatchObject({ equal: true, events: history.events.length, difference: null });
    expect(report.grants).toMatchObject({ decided: 3, confirmed: 3, differing: 0, skipped: 0 });
    expect(report.grants.listed.map(({ outcome }) => outcome).sort()).toEqual(['denied', 'issued', 'issued']);
    for (const { checks, policy } of report.grants.listed) {
      expect(policy).toMatch(/^contract [0-9a-f]{40} on chain 31337 at block \d+ /);
      const taken = checks.filter(({ logged, again }) => logged !== 'skipped' && again === 'skipped');
      expect(taken.map(({ name }) => name)).toEqual(['challenge.fresh', 'policy.fresh', 'policy.app']);
      for (const { detail } of taken) expect(detail).toMatch(/^taken as logged/);
    }
  });

  it('from an event on it still verifies decisions, and says that tables were not rebuilt', async () => {
    const { seq } = dataOf('grant.issued');
    const report = await replayed(() => undefined, { from: seq, to: seq });
    expect(report).toMatchObject({ equal: true, from: seq, events: 1, rows: {} });
    expect(report.grants).toMatchObject({ decided: 1, confirmed: 1 });
    expect(report.checks.find(({ name }) => name === 'tables')?.outcome).toBe('skipped');
  });

  it('at a time it ends with the last event stored by then', async () => {
    const atTime = new Date(new FakeClock().now().getTime() + 30_500);
    const report = await replayed(() => undefined, { atTime });
    expect(report).toMatchObject({ equal: true, events: 31 });
  });

  it('without the root of its quotes no decision stands', async () => {
    const report = await replayed(() => undefined, { trustAnchors: [] });
    expect(report).toMatchObject({ equal: false, difference: { kind: 'grant-differs', count: 3 } });
  });

  it('as HTML is one file without scripts or links, and markup from the log is text', async () => {
    const report = await replayed(() => undefined);
    const [first] = report.grants.listed;
    if (first === undefined) throw new Error('no decision');
    const html = reportHtml(
      { ...report, grants: { ...report.grants, listed: [{ ...first, reason: '<script>alert(1)</script>' }] } },
      new Date(0),
    );
    expect(html).toContain('&#60;script&#62;');
    expect(html).not.toMatch(/<script|<link|src=|href=|url\(/);
    expect(html).toContain(report.root);
  });
});

describe('a grant that should not have been', () => {
  const changes: [string, (data: Submitted) => Submitted, Partial<Issued>][] = [
    ['a changed measurement', withFlippedQuote(200), {}],
    ['a changed signature', withFlippedQuote(640), {}],
    ['a quote that is none', (data) => ({ ...data, evidence: { ...data.evidence, quote: 'AAAA' } }), {}],
    ['another event log', (data) => ({ ...data, evidence: { ...data.evidence, eventLog: '[]' } }), {}],
    ['another key in the claims', (data) => ({ ...data, claims: { ...data.claims, hpkeKey: '01'.repeat(32) } }), {}],
    ['another epoch', (data) => data, { epoch: 2 }],
    ['a request that is another one', (data) => data, { requestId: randomUUID() }],
    ['a request that is no attestation', (data) => data, { requestSeq: 1 }],
  ];
  it.each(changes)('%s: is found and named', async (_, change, grant) => {
    const report = await replayed(falseGrant(change, grant));
    const seq = history.events.length + 2;
    expect(report).toMatchObject({ equal: false, difference: { kind: 'grant-differs', seq, count: 1 } });
    if (report.difference === null) throw new Error('no difference');
    expect(describeDifference(report.difference)).toContain(`the decision of event ${seq} does not come out again`);
  });

  it('collateral the log does not hold: the decision is skipped with the reason, never passed', async () => {
    const report = await replayed(falseGrant((data) => data, { collateralDigest: '00'.repeat(32) }));
    expect(report.grants).toMatchObject({ decided: 4, confirmed: 3, skipped: 1 });
    const check = report.checks.find(({ name }) => name === 'grant evidence');
    expect(check).toMatchObject({ outcome: 'skipped', detail: expect.stringContaining('holds no collateral') });
  });
});
