import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type LocalServer, startAnvil, startNats, startPostgres, startRedis } from '@vouch/platform/local-servers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { helloCompose, TestStack } from './test-stack.js';

/** The operator brings every server: NATS with the users that `vouch stack prepare` made, Postgres, Redis, an EVM node. */
let folder = '';
let stack: TestStack;
let env: Readonly<Record<string, string>> = {};
const servers: LocalServer[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vouch-own-'));
  stack = TestStack.at(join(folder, 'data'));
  const prepared = await stack.vouch(['stack', 'prepare']);
  if (prepared.code !== 0) throw new Error(prepared.stderr);
  const config = await readFile(join(stack.folder, 'nats/nats-server.conf'), 'utf8');
  const nats = await startNats({
    dataDir: join(folder, 'nats'),
    config: ({ listen, storeDir }) => config.replace('0.0.0.0:4222', listen).replace('/var/lib/nats', storeDir),
  });
  const postgres = await startPostgres({ dataDir: join(folder, 'postgres'), fsync: false });
  const redis = await startRedis({ dataDir: join(folder, 'redis') });
  const chain = await startAnvil({ dataDir: join(folder, 'chain'), blockTimeSeconds: 10 });
  servers.push(nats, postgres, redis, chain);
  env = {
    NATS_URL: nats.url,
    DATABASE_URL: postgres.url,
    REDIS_URL: redis.url,
    ETH_RPC_URL: chain.url,
    UNSAFE_DEVELOPMENT_WALLET: '1',
  };
}, 180_000);

afterAll(async () => {
  await stack?.vouch(['down', '--purge']);
  for (const server of servers.reverse()) await server.stop();
  await rm(folder, { recursive: true, force: true });
}, 120_000);

describe('a stack on servers of its own', () => {
  it('refuses a chain of the operator without a wallet, saying which setting to give', async () => {
    const { UNSAFE_DEVELOPMENT_WALLET: _, ...withoutWallet } = env;
    const result = await stack.vouch(['up'], withoutWallet);
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(/ETH_WALLET_KEY_FILE/);
  }, 120_000);

  it('comes up on them, starts none itself, and deploys with jobs on Redis', async () => {
    const up = await stack.vouch(['up', '--detach'], env);
    expect(up.stderr).toMatch(/The stack is up/);
    expect((await stack.state()).servers).toEqual([]);
    const status = await stack.api('/v1/status');
    expect(await status.json()).toMatchObject({ jobs: { backend: 'redis', state: 'connected' } });
    const deployed = await stack.vouch(['deploy', helloCompose, '--approve', '--wait', '--memory', '128']);
    expect(deployed.code).toBe(0);
    expect((await stack.getThroughGateway(`${deployed.stdout.trim()}-8080`)).status).toBe(200);
  }, 240_000);

  it('writes the env files that a container engine starts the services with', async () => {
    const result = await stack.vouch(['stack', 'migrate'], env);
    expect(result.code).toBe(0);
    const text = await readFile(join(stack.folder, 'env/control-api.env'), 'utf8');
    expect(text).toContain('JOBS_BACKEND="redis"');
    expect(text).toContain('CONTROL_API_LISTEN="0.0.0.0:7080"');
  }, 120_000);
});
