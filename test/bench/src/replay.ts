import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { jetstream } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { freePort, startPostgres } from '@vouch/platform/local-servers';
import { makeTestAuthors, startTestBus, type TestAuthors, type TestBus } from '@vouch/testkit';
import pg from 'pg';
import type { Bench, BenchResult } from './harness.js';
import { fillLog } from './replay-log.js';

const AUDITOR = fileURLToPath(new URL('../../../apps/auditor/dist/main.js', import.meta.url));
const EVENTS = Number(process.env.BENCH_EVENTS ?? 100_000);
const MEMORY_POLL_MS = 100;
const COPIED_TABLES = ['event', 'merkle_node', 'app', 'instance', 'operation'];

/**
 * Events replayed per second by `vouch audit replay` as it is shipped (every signature verified, every row rebuilt and
 * compared, every checkpoint checked), against the two things no replay can beat: a bare client that only reads the same
 * stream, and Postgres copying the same rows into tables with the same indexes. BENCH_EVENTS sets the number of events.
 */
export const replayBench: Bench = {
  name: 'replay',
  summary: 'events/s of audit replay against plain reading of the stream and Postgres COPY of the same rows',
  run: async (say): Promise<BenchResult> => {
    const folder = await mkdtemp(join(tmpdir(), 'vouch-bench-replay-'));
    const authors = makeTestAuthors();
    const bus = await startTestBus({ unsafeSyncByDefault: true, provision: { eventsMaxBytes: 8 * 1024 ** 3 } });
    const postgres = await startPostgres({ dataDir: folder, fsync: false });
    try {
      const environment = await auditorEnvironment(folder, bus, authors, postgres.url);
      await new Auditor(environment, ['migrate']).ended();
      const api = await bus.connect({ service: 'control-api', node: '' });
      await fillLog(
        { api, worker: await bus.connect({ service: 'host-worker', node: 'host-1' }) },
        authors,
        EVENTS,
        say,
      );
      const projecting = new Auditor(environment, []);
      const projectPerSecond = await projected(postgres.url, say).finally(() => projecting.stop());
      const reads = await readPerSecond(api);
      const copies = await copyPerSecond(postgres.url, folder);
      say(`bounds: reading ${reads.toFixed(0)}/s, COPY ${copies.toFixed(0)}/s`);
      const replaying = new Auditor(environment, ['replay', '--json']);
      const report = JSON.parse(await replaying.ended()) as { equal: boolean; events: number; durationMs: number };
      if (!report.equal || report.events !== EVENTS)
        throw new Error(`the replay is not equal: ${JSON.stringify(report)}`);
      const replays = EVENTS / (report.durationMs / 1000);
      return {
        metrics: { replayPerSecond: replays, projectPerSecond, replayPeakMiB: replaying.peakMiB, events: EVENTS },
        peers: { bareReadPerSecond: reads, postgresCopyPerSecond: copies },
        ratios: { replayToSlowerBound: replays / Math.min(reads, copies) },
      };
    } finally {
      await bus.stop();
      await postgres.stop();
      await rm(folder, { recursive: true, force: true });
    }
  },
};

async function auditorEnvironment(folder: string, bus: TestBus, authors: TestAuthors, databaseUrl: string) {
  const file = async (name: string, content: string | Uint8Array) => {
    const path = join(folder, name);
    await writeFile(path, content, { mode: 0o600 });
    return path;
  };
  const key = authors.logPrivateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
  return {
    PATH: process.env.PATH ?? '',
    NATS_URL: bus.url,
    VOUCH_NATS_SEED_FILE: await file('nats.seed', bus.seedOf({ service: 'auditor', node: '' })),
    VOUCH_TRUST_FILE: await file('trust.json', JSON.stringify(authors.trust)),
    VOUCH_MODE: 'development',
    VOUCH_HEALTH_LISTEN: `127.0.0.1:${await freePort()}`,
    DATABASE_URL: databaseUrl,
    VOUCH_LOG_KEY_FILE: await file('log.pem', key),
    VOUCH_LOG_ORIGIN: authors.trust.log.origin,
    LOG_LEVEL: 'warn',
  };
}

/** The auditor as a process of its own; its largest resident size is watched while it runs. */
class Auditor {
  peakMiB = 0;
  readonly #child: ChildProcess;
  readonly #out: Promise<string>;

  constructor(env: Readonly<Record<string, string>>, args: readonly string[]) {
    this.#child = spawn(process.execPath, [AUDITOR, ...args], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    let out = '';
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      out += text;
    });
    this.#out = new Promise((done) => this.#child.once('close', () => done(out)));
    const watch = setInterval(() => void this.#look(), MEMORY_POLL_MS);
    this.#child.once('close', () => clearInterval(watch));
  }

  async ended(): Promise<string> {
    const out = await this.#out;
    if (this.#child.exitCode !== 0) throw new Error(`the auditor ended with ${this.#child.exitCode}`);
    return out;
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGTERM');
    await this.#out;
  }

  async #look(): Promise<void> {
    const status = await readFile(`/proc/${this.#child.pid}/status`, 'utf8').catch(() => '');
    const kilobytes = Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? 0);
    this.peakMiB = Math.max(this.peakMiB, kilobytes / 1024);
  }
}

/** Waits until the live auditor has projected everything; answers its pace from its first event on. */
async function projected(url: string, say: (line: string) => void): Promise<number> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    let began: { at: number; pos: number } | undefined;
    for (let said = 0; ; said += 1) {
      const pos = Number((await client.query("select pos from projection where name = 'audit'")).rows[0]?.pos ?? 0);
      if (pos > 0) began ??= { at: performance.now(), pos };
      if (said % 20 === 0) say(`projected ${pos} of ${EVENTS} events`);
      if (pos >= EVENTS && began !== undefined) return ((pos - began.pos) / (performance.now() - began.at)) * 1000;
      await sleep(250);
    }
  } finally {
    await client.end();
  }
}

async function readPerSecond(connection: NatsConnection): Promise<number> {
  const consumer = await jetstream(connection).consumers.get('EVENTS', { name_prefix: 'bench' });
  const began = performance.now();
  const messages = await consumer.consume({ max_messages: 1_000 });
  let count = 0;
  for await (const { data } of messages) {
    count += data.length > 0 ? 1 : 0;
    if (count >= EVENTS) break;
  }
  return EVENTS / ((performance.now() - began) / 1000);
}

/** COPY of the same rows into empty tables with the same indexes, in events per second. */
async function copyPerSecond(url: string, folder: string): Promise<number> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query('create schema bench_copy');
    for (const table of COPIED_TABLES) {
      await client.query(`create table bench_copy.${table} (like ${table} including all)`);
      await client.query(`copy ${table} to '${join(folder, `${table}.copy`)}' (format binary)`);
    }
    const began = performance.now();
    for (const table of COPIED_TABLES) {
      await client.query(`copy bench_copy.${table} from '${join(folder, `${table}.copy`)}' (format binary)`);
    }
    const seconds = (performance.now() - began) / 1000;
    await client.query('drop schema bench_copy cascade');
    return EVENTS / seconds;
  } finally {
    await client.end();
  }
}
