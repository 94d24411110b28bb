import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { helloCompose, TestStack } from '../e2e/test-stack.js';

let stack: TestStack;

beforeAll(async () => {
  stack = await TestStack.up();
}, 240_000);

afterAll(async () => {
  await stack?.down();
}, 120_000);

describe('kill -9 of `vouch up` itself', () => {
  it('the next `vouch up` ends what was left, comes up on the same data, and the guest is healthy again', async () => {
    const deployed = await stack.vouch(['deploy', helloCompose, '--approve', '--wait', '--memory', '128']);
    expect(deployed.code).toBe(0);
    const instance = deployed.stdout.trim();
    const before = await stack.state();
    const left = before.services.flatMap(({ process }) => (process === null ? [] : [process.pid]));
    process.kill(before.supervisor.pid, 'SIGKILL');

    expect((await stack.vouch(['status'])).code).toBe(3);
    expect((await stack.vouch(['up', '--detach'])).code).toBe(0);
    expect(left.filter((pid) => existsSync(`/proc/${pid}`))).toEqual([]);
    await expectHealthy(instance);
    expect((await stack.getThroughGateway(`${instance}-8080`)).status).toBe(200);
    expect((await stack.vouch(['audit', 'replay'])).code).toBe(0);
  }, 240_000);
});

async function expectHealthy(instance: string): Promise<void> {
  let last = '';
  for (const deadline = performance.now() + 60_000; performance.now() < deadline; await sleep(300)) {
    last = (await stack.vouch(['get', 'instance', instance, '-o', 'json'])).stdout;
    if (last.includes('"state": "healthy"')) return;
  }
  throw new Error(`instance ${instance} did not get healthy: ${last}`);
}
