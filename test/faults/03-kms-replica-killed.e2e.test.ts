import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { helloCompose, TestStack } from '../e2e/test-stack.js';

let stack: TestStack;

beforeAll(async () => {
  stack = await TestStack.up({ KMS_REPLICAS: '2' });
}, 300_000);

afterAll(async () => {
  await stack?.down();
}, 120_000);

async function pidsOfKms(): Promise<number[]> {
  const { services } = await stack.state();
  return services.filter(({ name }) => /^kms(-\d)?$/.test(name)).map(({ process }) => process?.pid ?? 0);
}

describe('two KMS replicas in the local stack', () => {
  it('take turns: whichever is killed while guests ask for keys, every deploy ends healthy with one grant each', async () => {
    expect(await pidsOfKms()).toHaveLength(2);
    const deploys: string[] = [];
    for (const victim of [0, 1]) {
      const accepted = await stack.vouch(['deploy', helloCompose, '--approve', '--memory', '128']);
      expect(accepted.stderr).toContain('operation');
      deploys.push(accepted.stdout.trim());
      await sleep(300);
      process.kill((await pidsOfKms())[victim] ?? 0, 'SIGKILL');
    }
    for (const instance of deploys) {
      const shown = async () => JSON.parse((await stack.vouch(['get', 'instance', instance, '-o', 'json'])).stdout);
      await expect.poll(shown, { timeout: 90_000, interval: 500 }).toMatchObject({ state: 'healthy' });
    }
    const { stdout } = await stack.vouch(['events', '--type', 'grant.issued', '-o', 'json']);
    const requests = stdout
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { envelope: { data: { requestId: string } } }).envelope.data.requestId);
    expect(requests).toHaveLength(2);
    expect(new Set(requests).size).toBe(2);
    expect((await stack.vouch(['audit', 'replay'])).code).toBe(0);
  }, 240_000);

  it('show their key epochs to the operator, and split and restore their roots', async () => {
    const { stdout } = await stack.vouch(['kms', 'status', '-o', 'json']);
    expect(JSON.parse(stdout)).toMatchObject({
      kmsId: 'kms-1',
      epochs: [{ keyEpoch: 0, status: 'active', isHere: true }],
    });
    const plan = await stack.vouch(['kms', 'epoch', 'plan', '-o', 'json']);
    expect(JSON.parse(plan.stdout)).toEqual([]);
    expect((await stack.vouch(['kms', 'epoch', 'prepare'])).code).toBe(0);
    const refused = await stack.vouch(['kms', 'epoch', 'activate', '1']);
    expect(refused).toMatchObject({ code: 4, stderr: expect.stringContaining('guests would refuse its grants') });
    const folder = `${stack.folder}-shares`;
    const made = await stack.vouch(['kms', 'shares', 'split', '--threshold', '2', '--shares', '3', '--out', folder]);
    const { files } = JSON.parse(made.stdout) as { files: string[] };
    const drill = ['kms', 'shares', 'combine', '--data', `${stack.folder}-drill`, ...files.slice(1)];
    expect(JSON.parse((await stack.vouch(drill)).stdout)).toMatchObject({ restored: { keyEpoch: 0 } });
  }, 60_000);
});
