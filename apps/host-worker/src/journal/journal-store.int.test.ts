import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { composeHashOf } from '@vouch/domain';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { GuestSpec } from '../driver/guest-driver.js';
import { EventOutbox } from './event-outbox.js';
import type { PendingEvent } from './guest-journal.js';
import { JournalStore } from './journal-store.js';
import * as transition from './journal-transitions.js';

const id = 'a'.repeat(40);
const appCompose = '{}';
const spec: GuestSpec = {
  instanceId: id,
  appId: 'b'.repeat(40),
  releaseId: 'c'.repeat(32),
  epoch: 1,
  appCompose,
  composeHash: composeHashOf(Buffer.from(appCompose)),
  seed: 'd'.repeat(40),
  address: '127.0.1.2',
  ports: [],
  resources: { vcpu: 1, memoryMiB: 512, diskGiB: 1 },
  encryptedEnv: '',
};
const driver = { name: 'process', unsafe: [] } as const;
const silent = { info: () => undefined, warn: () => undefined, error: () => undefined };
let folder: string;
let unreadable: string[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vouch-journal-'));
  unreadable = [];
});

afterEach(() => rm(folder, { recursive: true, force: true }));

const open = () => JournalStore.open(folder, (file) => unreadable.push(file));

describe('JournalStore', () => {
  test('what was written is there after a restart', async () => {
    const store = await open();
    await store.put(id, transition.begin(spec));
    await store.update(id, (journal) => transition.starting(journal, '1'.repeat(32)));
    expect((await open()).get(id)).toEqual(store.get(id));
    await store.delete(id);
    expect((await open()).ids()).toEqual([]);
  });

  test('changes made at once are made one after the other', async () => {
    const store = await open();
    await store.put(id, transition.begin(spec));
    const add = () => store.update(id, (journal) => ({ ...journal, failures: journal.failures + 1 }));
    await Promise.all(Array.from({ length: 20 }, add));
    expect((await open()).get(id)?.failures).toBe(20);
  });

  test('a journal cut short, of another guest or of an unknown form is set aside, not guessed at', async () => {
    const store = await open();
    await store.put(id, transition.begin(spec));
    const path = join(folder, `${id}.json`);
    const text = await readFile(path, 'utf8');
    for (const [name, content] of [
      [id, text.slice(0, -5)],
      ['e'.repeat(40), text],
      ['f'.repeat(40), text.replace('"version":1', '"version":2')],
    ] as const) {
      await writeFile(join(folder, `${name}.json`), content);
    }
    expect((await open()).ids()).toEqual([]);
    expect(unreadable).toHaveLength(3);
    expect((await readdir(folder)).filter((name) => name.endsWith('.unreadable'))).toHaveLength(3);
  });
});

describe('EventOutbox', () => {
  test('tells the log in order, repeats the same event while it is away, and forgets only what it has', async () => {
    const store = await open();
    await store.put(id, transition.begin(spec));
    const at = new Date('2026-01-01T00:00:00.000Z');
    const end = { state: 'ended', exitCode: 1, reason: 'x', isFinal: false } as const;
    await store.update(id, (journal) => transition.starting(journal, '1'.repeat(32)));
    await store.update(id, (journal) => transition.running(journal, 'h', driver, { at }));
    await store.update(id, (journal) => transition.ended(journal, 'h', end, { at }));
    const tried: PendingEvent[] = [];
    let away = 2;
    const outbox = new EventOutbox(
      store,
      async (event) => {
        tried.push(event);
        away -= 1;
        if (away >= 0) throw new Error('the log is away');
      },
      silent,
    );
    await Promise.all([outbox.flush(id), outbox.flush(id)]);
    expect(tried.map(({ type }) => type)).toEqual(['vm.launched', 'vm.launched', 'vm.launched', 'vm.exited']);
    expect(new Set(tried.map((event) => event.id)).size).toBe(2);
    expect((await open()).get(id)?.events).toEqual([]);
    expect(outbox.isFlushed(id)).toBe(true);
  });

  test('close gives up waiting, and keeps what was not told', async () => {
    const store = await open();
    await store.put(id, transition.neverRan(transition.begin(spec), 'h'));
    const outbox = new EventOutbox(
      store,
      async () => {
        throw new Error('the log is away');
      },
      silent,
    );
    const flushing = outbox.flush(id);
    await outbox.close();
    await flushing;
    expect((await open()).get(id)?.events).toHaveLength(1);
  });
});
