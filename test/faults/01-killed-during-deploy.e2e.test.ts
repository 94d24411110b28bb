import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { helloCompose, TestStack } from '../e2e/test-stack.js';

const SERVICES = ['control-api', 'kms', 'auditor', 'gateway-gw-1', 'host-worker-host-a', 'quote-simulator'];
const SERVERS = ['nats-server', 'postgres', 'anvil'];

let stack: TestStack;

beforeAll(async () => {
  stack = await TestStack.up();
  const first = await stack.vouch(['deploy', helloCompose, '--approve', '--wait', '--memory', '128']);
  if (first.code !== 0) throw new Error(first.stderr);
}, 300_000);

afterAll(async () => {
  await stack?.down();
}, 120_000);

async function pidOf(name: string): Promise<number> {
  const { services, servers } = await stack.state();
  const pid =
    services.find((service) => service.name === name)?.process?.pid ??
    servers.find((server) => server.name === name)?.pid;
  if (pid === undefined) throw new Error(`${name} does not run`);
  return pid;
}

async function events(): Promise<
  { type: string; subject: string; envelope?: { data: { epoch?: number; requestId?: string } } }[]
> {
  const { stdout } = await stack.vouch(['events', '-o', 'json', '--limit', '1000']);
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

describe('kill -9 during a deploy', () => {
  it.each([...SERVICES, ...SERVERS])(
    '%s: the deploy still ends healthy, with one placement and one grant event per request',
    async (name) => {
      const deploying = stack.vouch(['deploy', helloCompose, '--host', 'host-a', '--memory', '128']);
      const accepted = await deploying;
      expect(accepted.stderr).toContain('operation');
      expect(accepted.code).toBe(0);
      const instance = accepted.stdout.trim();
      const operation = /^operation {5}([0-9a-f]{32})$/m.exec(accepted.stderr)?.[1] ?? '';
      process.kill(await pidOf(name), 'SIGKILL');
      await expectSucceeded(operation);
      const mine = (await events()).filter(({ subject }) => subject.endsWith(instance));
      expect(mine.filter(({ type }) => type === 'instance.placed')).toHaveLength(1);
      const requests = mine
        .filter(({ type }) => type === 'grant.issued' || type === 'grant.denied')
        .map(({ envelope }) => envelope?.data.requestId);
      expect(new Set(requests).size).toBe(requests.length);
      expect((await stack.getThroughGateway(`${instance}-8080`)).status).toBe(200);
      expect((await stack.vouch(['rm', instance, '--wait'])).code).toBe(0);
    },
    180_000,
  );

  it('after all of it the log replays to an equal root', async () => {
    expect((await stack.vouch(['audit', 'replay'])).code).toBe(0);
  }, 60_000);
});

/** Polls through control-api being away; the operation must reach `succeeded` within two minutes. */
async function expectSucceeded(operation: string): Promise<void> {
  let last = '';
  for (const deadline = performance.now() + 120_000; performance.now() < deadline; await sleep(300)) {
    const { stdout, stderr } = await stack.vouch(['get', 'operation', operation, '-o', 'json']);
    last = stdout + stderr;
    try {
      const { state } = JSON.parse(stdout) as { state: string };
      if (state === 'succeeded') return;
      if (state === 'failed') break;
    } catch {
      // The API is restarting.
    }
  }
  throw new Error(`operation ${operation} did not succeed: ${last}`);
}
