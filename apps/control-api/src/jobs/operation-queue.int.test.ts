import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type LocalServer, startPostgres, startRedis } from '@vouch/platform/local-servers';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { ControlApiConfig } from '../config/control-api-config.js';
import { OperationQueue } from './operation-queue.js';

type Jobs = ControlApiConfig['jobs'];

interface Backend {
  readonly start: (dataDir: string, port?: number) => Promise<LocalServer>;
  readonly jobs: (server: LocalServer) => Jobs;
  /** Takes every job and schedule away, as losing the database would. */
  readonly empty: (server: LocalServer) => Promise<void>;
}

const backends: Record<Jobs['backend'], Backend> = {
  postgres: {
    start: (dataDir, port = 0) => startPostgres({ dataDir, port, fsync: false }),
    jobs: (server) => ({ backend: 'postgres', databaseUrl: server.url }),
    empty: async (server) => {
      const client = new pg.Client({ connectionString: server.url });
      await client.connect();
      const { rows } = await client.query(
        "select schemaname, tablename from pg_tables where schemaname not in ('pg_catalog', 'information_schema') and tablename not like '%migration%'",
      );
      for (const { schemaname, tablename } of rows)
        await client.query(`truncate "${schemaname}"."${tablename}" cascade`);
      await client.end();
    },
  },
  redis: {
    start: (dataDir, port = 0) => startRedis({ dataDir, port }),
    jobs: (server) => ({ backend: 'redis', url: server.url }),
    empty: async (server) => {
      const { Redis } = await import('ioredis');
      const client = new Redis(server.url);
      await client.flushall();
      client.disconnect();
    },
  },
};

describe.each(Object.entries(backends))('operation queue on %s', (_, backend) => {
  let folder: string;
  let server: LocalServer;
  const queues: OperationQueue[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'vouch-jobs-'));
    server = await backend.start(folder);
  });
  afterEach(async () => {
    await Promise.all(queues.splice(0).map((queue) => queue.stop()));
  });
  afterAll(async () => {
    await server?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  function start() {
    const seen = { deadlines: [] as string[], reconciles: 0 };
    const queue = new OperationQueue({
      jobs: backend.jobs(server),
      reconcileEveryMs: 1_000,
      logger: { info: () => undefined, warn: () => undefined, error: () => undefined },
      handlers: {
        onDeadline: async (operationId) => void seen.deadlines.push(operationId),
        onReconcile: async () => {
          seen.reconciles += 1;
        },
      },
    });
    queues.push(queue);
    queue.start();
    return { queue, seen };
  }

  const soon = () => new Date(Date.now() + 300);

  it('calls at the deadline, once per operation, however often it was asked', async () => {
    const { queue, seen } = start();
    await vi.waitFor(() => expect(queue.state).toBe('connected'), 10_000);
    const deadline = soon();
    for (let count = 0; count < 3; count += 1) await queue.scheduleDeadline('op-1', deadline);
    await queue.scheduleDeadline('op-2', deadline);
    await vi.waitFor(() => expect([...seen.deadlines].sort()).toEqual(['op-1', 'op-2']), 10_000);
  });

  it('a deadline survives the process that asked for it', async () => {
    const first = start();
    await vi.waitFor(() => expect(first.queue.state).toBe('connected'), 10_000);
    await first.queue.scheduleDeadline('op-3', new Date(Date.now() + 1_500));
    await first.queue.stop();
    const second = start();
    await vi.waitFor(() => expect(second.seen.deadlines).toEqual(['op-3']), 15_000);
  });

  it('reconciles again and again', async () => {
    const { seen } = start();
    await vi.waitFor(() => expect(seen.reconciles).toBeGreaterThanOrEqual(3), 15_000);
  });

  it('starts without its server, and works once it is there', async () => {
    const { port } = server;
    await server.stop();
    const { queue, seen } = start();
    await queue.scheduleDeadline('lost', soon());
    expect(queue.state).toBe('connecting');
    server = await backend.start(folder, port);
    await vi.waitFor(() => expect(queue.state).toBe('connected'), 20_000);
    await vi.waitFor(() => expect(seen.reconciles).toBeGreaterThanOrEqual(1), 15_000);
  });

  it('an emptied queue only costs delay: the schedule comes back by itself', async () => {
    const { queue, seen } = start();
    await vi.waitFor(() => expect(seen.reconciles).toBeGreaterThanOrEqual(2), 15_000);
    await backend.empty(server);
    const before = seen.reconciles;
    await vi.waitFor(() => expect(seen.reconciles).toBeGreaterThanOrEqual(before + 3), 30_000);
    await queue.scheduleDeadline('after', soon());
    await vi.waitFor(() => expect(seen.deadlines).toContain('after'), 15_000);
  });

  it('a server killed and started again only costs delay', async () => {
    const { queue, seen } = start();
    await vi.waitFor(() => expect(queue.state).toBe('connected'), 10_000);
    const { port } = server;
    await server.kill9();
    server = await backend.start(folder, port);
    const before = seen.reconciles;
    await vi.waitFor(() => expect(seen.reconciles).toBeGreaterThanOrEqual(before + 3), 40_000);
    await vi.waitFor(
      async () => {
        await queue.scheduleDeadline('back', soon());
        expect(seen.deadlines).toContain('back');
      },
      { timeout: 20_000, interval: 500 },
    );
  });
});
