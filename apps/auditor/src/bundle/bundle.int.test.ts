import { createPublicKey } from 'node:crypto';
import { Writable } from 'node:stream';
import { trustAnchorFromPem } from '@vouch/attestation';
import { KeyDirectory } from '@vouch/domain';
import { MemoryEventStore } from '@vouch/eventstore';
import { FakeClock, makeTestAuthors } from '@vouch/testkit';
import { signCheckpoint } from '@vouch/transparency';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { withSession } from '../database/sql-session.js';
import { AuditDatabases } from '../testing/audit-databases.js';
import { EngineHarness } from '../testing/engine-harness.js';
import { savedHistory } from '../testing/saved-history.js';
import { exportBundle } from './export-bundle.js';
import { type BundleReport, verifyBundle } from './verify-bundle.js';

const history = savedHistory('first-deploys');
const authors = makeTestAuthors();
/** The saved fleet, its log signed by a key of this test. */
const trust = { ...history.trust, log: authors.trust.log };
const trustAnchors = [trustAnchorFromPem(history.rootPem)];
let databases: AuditDatabases;
let bundle: string[];

beforeAll(async () => {
  databases = await AuditDatabases.start();
  const store = new MemoryEventStore({ directory: new KeyDirectory(trust), now: new FakeClock().now });
  for (const { subject, bytes } of history.events) store.injectRaw(subject, bytes);
  const { dataSource } = await databases.migrated();
  const harness = new EngineHarness({ store, dataSource, authors });
  await harness.signedFor(history.events.length);
  await harness.stop();
  let text = '';
  const out = new Writable({
    write: (chunk: Buffer, _, done) => {
      text += chunk.toString();
      done();
    },
  });
  await withSession(dataSource, (session) => exportBundle(session, trust, out));
  bundle = text.trimEnd().split('\n');
});
afterAll(() => databases.stop());

async function* each(lines: readonly string[]): AsyncGenerator<string> {
  yield* lines;
}

function verified(lines: readonly string[], more: object = {}): Promise<BundleReport> {
  return verifyBundle(each(lines), { trust, trustAnchors, ...more });
}

/** The bundle with the event line of `seq` replaced. */
function changed(seq: number, change: (line: string) => string): string[] {
  return bundle.map((line) => (line.startsWith(`{"seq":${seq},`) ? change(line) : line));
}

const flippedEvent = (at: number) => (line: string) => {
  const { seq, event } = JSON.parse(line) as { seq: number; event: string };
  const bytes = Buffer.from(event, 'base64');
  const place = (at + bytes.length) % bytes.length;
  bytes[place] = (bytes[place] ?? 0) ^ 1;
  return JSON.stringify({ seq, event: bytes.toString('base64') });
};

describe('an audit bundle', () => {
  it('verifies with the trust file alone: authors, checkpoints, root, grants', async () => {
    const report = await verified(bundle);
    expect(report.events).toBe(history.events.length);
    expect(report.checkpoints).toBeGreaterThanOrEqual(1);
    expect(report.grants).toMatchObject({ decided: 3, confirmed: 3, skipped: 0, differing: 0 });
  });

  it('refuses a changed byte in any event, and says which event', async () => {
    for (let seq = 1; seq <= history.events.length; seq += 7) {
      for (const at of [1, 40, -2]) {
        const refusal = verified(changed(seq, flippedEvent(at)));
        await expect(refusal, `event ${seq}`).rejects.toMatchObject({
          step: expect.stringMatching(/^event\.(form|author)$/),
          message: expect.stringContaining(`event ${seq}:`),
        });
      }
    }
  });

  it('refuses an event taken out, doubled or moved', async () => {
    const lines = bundle.filter((line) => !line.startsWith('{"checkpoint"'));
    await expect(verified(lines.filter((_, at) => at !== 5))).rejects.toMatchObject({ step: 'event.order' });
    await expect(verified([...lines.slice(0, 6), ...lines.slice(5)])).rejects.toMatchObject({ step: 'event.order' });
    // Renumbered, so that the order looks right: the root tells.
    const renumbered = lines.filter((_, at) => at !== 5).map((line, at) => line.replace(/"seq":\d+/, `"seq":${at}`));
    const last = bundle.at(-1) ?? '';
    await expect(verified([...renumbered, last])).rejects.toMatchObject({ step: 'checkpoint' });
  });

  it('refuses a cut bundle, and checkpoints of another key, another root or another place', async () => {
    await expect(verified(bundle.slice(0, -1))).rejects.toMatchObject({ step: 'checkpoint' });
    await expect(verified(bundle.slice(0, 20))).rejects.toMatchObject({ step: 'checkpoint' });
    const size = history.events.length;
    const { origin } = trust.log;
    const sign = (by: typeof authors, root: Uint8Array) =>
      JSON.stringify({
        checkpoint: signCheckpoint(
          { origin, size, root, time: null },
          { privateKey: by.logPrivateKey, publicKey: createPublicKey(by.logPrivateKey) },
        ),
      });
    const stranger = makeTestAuthors();
    for (const note of [sign(stranger, new Uint8Array(32)), sign(authors, new Uint8Array(32)), '{"checkpoint":"x"}']) {
      await expect(verified([...bundle.slice(0, -1), note])).rejects.toMatchObject({ step: 'checkpoint' });
    }
    const [header = '', ...rest] = bundle;
    await expect(verified([header, bundle.at(-1) ?? '', ...rest])).rejects.toMatchObject({ step: 'checkpoint' });
  });

  it('refuses what is no bundle, and a bundle of another log', async () => {
    for (const lines of [[], ['{}'], ['not json'], bundle.slice(1), [bundle[0] ?? '', '{"seq":1}']]) {
      await expect(verified(lines)).rejects.toMatchObject({ step: 'bundle.format' });
    }
    const other = verified(bundle, { trust: { ...trust, log: makeTestAuthors().trust.log } });
    await expect(other).rejects.toMatchObject({ step: 'trust.file' });
    const unknown = verified(bundle, { trust: { ...trust, keys: authors.trust.keys } });
    await expect(unknown).rejects.toMatchObject({ step: 'event.author' });
  });

  it('names the grant when the roots of its quote are not trusted', async () => {
    const refusal = verified(bundle, { trustAnchors: [] });
    await expect(refusal).rejects.toMatchObject({
      step: 'grant',
      message: expect.stringContaining('decision of event'),
    });
  });
});
