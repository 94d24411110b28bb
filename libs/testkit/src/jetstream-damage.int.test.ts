import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { JetStreamEventStore, SequenceGapError, StreamWentBackError } from '@vouch/eventstore';
import { type LocalServer, startNats } from '@vouch/platform/local-servers';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { makeTestAuthors } from './test-authors.js';

describe('a damaged log', () => {
  const authors = makeTestAuthors();
  let dataDir: string;
  let server: LocalServer;
  let connection: NatsConnection;
  let store: JetStreamEventStore;
  /**
   * A stream whose guards are off, so that a test can do to it what a broken disk or a thief does. Each test has one of
   * its own: a purge that the server still finishes would reach into a new stream of the same name.
   */
  let stream = 'UNGUARDED';
  let tests = 0;

  const admin = async (api: string, body: unknown): Promise<void> => {
    const reply = (await connection.request(`$JS.API.${api}`, JSON.stringify(body))).json() as { error?: unknown };
    if (reply.error !== undefined) throw new Error(`${api}: ${JSON.stringify(reply.error)}`);
  };
  const recreate = async (events: number) => {
    await admin(`STREAM.DELETE.${stream}`, {}).catch(() => undefined);
    await admin(`STREAM.CREATE.${stream}`, { name: stream, subjects: ['evt.>'], storage: 'file', num_replicas: 1 });
    await add(events);
  };
  const add = async (events: number) => {
    for (let index = 0; index < events; index += 1) {
      const appId = (await store.lastSeq()).toString(16).padStart(40, '0');
      const data = { appId, name: 'n', owner: 'test' };
      await store.append(authors.event(authors.of('control-api'), 'app.registered', data), 0);
    }
  };
  const read = async (filters: string[] = []) => {
    const seqs: number[] = [];
    for await (const { seq } of store.read({ fromSeq: 1, follow: false, filters })) seqs.push(seq);
    return seqs;
  };

  beforeAll(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'vouch-damage-'));
    server = await startNats({
      dataDir,
      config: ({ listen, storeDir }) => `listen: "${listen}"\njetstream { store_dir: "${storeDir}" }\n`,
    });
    connection = await connect({ servers: server.url });
  });
  beforeEach(async () => {
    await admin(`STREAM.DELETE.${stream}`, {}).catch(() => undefined);
    tests += 1;
    stream = `UNGUARDED_${tests}`;
    store = new JetStreamEventStore({ connection, directory: authors.directory, streamName: stream });
  });
  afterAll(async () => {
    await connection.close();
    await server.stop();
    await rm(dataDir, { recursive: true, force: true });
  });

  it('a hole stops an unfiltered reader and is named', async () => {
    await recreate(6);
    await admin(`STREAM.MSG.DELETE.${stream}`, { seq: 4 });
    await expect(read()).rejects.toThrow(SequenceGapError);
    await expect(read()).rejects.toMatchObject({ expectedSeq: 4, gotSeq: 5, code: 'sequence-gap' });
    expect(await read(['evt.app.>'])).toEqual([1, 2, 3, 5, 6]);
  });

  it('a hole at the end is seen too', async () => {
    await recreate(6);
    await admin(`STREAM.MSG.DELETE.${stream}`, { seq: 6 });
    await expect(read()).rejects.toMatchObject({ expectedSeq: 6 });
  });

  it('a purged beginning is a hole', async () => {
    await recreate(6);
    await admin(`STREAM.PURGE.${stream}`, { seq: 3 });
    await expect(read()).rejects.toMatchObject({ expectedSeq: 1, gotSeq: 3 });
  });

  it('a log replaced by a shorter one stops a follower that has seen more', async () => {
    await recreate(6);
    const reading = (async () => {
      for await (const { seq } of store.read({ fromSeq: 1, follow: true })) if (seq === 6) await recreate(2);
    })();
    await expect(reading).rejects.toThrow(StreamWentBackError);
    await expect(reading).rejects.toMatchObject({ lastSeq: 2, knownSeq: 6, code: 'stream-went-back' });
  });
});
