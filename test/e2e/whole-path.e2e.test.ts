import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { helloCompose, TestStack, unapprovedCompose } from './test-stack.js';

/** The story of one deploy, in the order in which it must stand in the log. */
const STORY = [
  'app.registered',
  'release.created',
  'instance.created',
  'instance.placed',
  'vm.launched',
  'attestation.submitted',
  'grant.issued',
  'vm.app-healthy',
];

interface EventLine {
  readonly seq: number;
  readonly type: string;
  readonly subject: string;
}

let stack: TestStack;
let instanceId = '';
let appId = '';

beforeAll(async () => {
  stack = await TestStack.up();
}, 240_000);

afterAll(async () => {
  await stack?.down();
}, 120_000);

async function events(): Promise<EventLine[]> {
  const { stdout } = await stack.vouch(['events', '-o', 'json', '--limit', '1000']);
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as EventLine);
}

describe('a stack as a user starts it', () => {
  it('deploys an approved app until it is healthy, printing every step with its time', async () => {
    const result = await stack.vouch(['deploy', helloCompose, '--approve', '--wait', '--memory', '128']);
    expect(result.stderr).toMatch(/\d+\.\d\d s {2}vm\.app-healthy/);
    expect(result).toMatchObject({ code: 0 });
    instanceId = result.stdout.trim();
    expect(instanceId).toMatch(/^[0-9a-f]{40}$/);
    appId = /^app {11}([0-9a-f]{40})$/m.exec(result.stderr)?.[1] ?? '';
    expect(appId).not.toBe('');
  }, 150_000);

  it('serves the page through the gateway by SNI, by app id and by instance id', async () => {
    const page = await stack.getThroughGateway(`${appId}-8080`);
    expect(page.status).toBe(200);
    expect(page.body).toContain(appId);
    expect(page.body).toContain(instanceId);
    expect((await stack.getThroughGateway(`${instanceId}-8080`)).status).toBe(200);
  });

  it('gives no route to a name that is no attested app', async () => {
    await expect(stack.getThroughGateway(`${'0'.repeat(40)}-8080`)).rejects.toThrow();
  });

  it('tells the story in the log, in order, with the grant between', async () => {
    const types = (await events()).map(({ type }) => type);
    const places = STORY.map((type) => types.indexOf(type));
    expect(places).not.toContain(-1);
    expect(places).toEqual([...places].sort((a, b) => a - b));
  });

  it('re-verifies the grant from its receipt and its logged evidence', async () => {
    const { code, stdout } = await stack.vouch(['verify', instanceId]);
    expect(stdout).toMatch(/pass\s+grant\.receipt/);
    expect(stdout).toMatch(/pass\s+quote\.signature/);
    expect(stdout).not.toMatch(/^fail/m);
    expect(code).toBe(0);
  });

  it('denies a deploy of an unapproved compose hash, naming the failed check', async () => {
    const result = await stack.vouch(['deploy', unapprovedCompose, '--app', appId, '--wait', '--memory', '128']);
    expect(result.code).toBe(5);
    expect(result.stderr).toMatch(/policy\.app/);
    expect(result.stderr).toMatch(/Compose hash not allowed/);
    const denied = /^instance {6}([0-9a-f]{40})$/m.exec(result.stderr)?.[1] ?? '';
    const checks = await stack.vouch(['get', 'grant', denied]);
    expect(checks.stdout).toMatch(/FAIL\s+policy\.app/);
    expect((await events()).some(({ type, subject }) => type === 'grant.denied' && subject.endsWith(denied))).toBe(
      true,
    );
    await expect(stack.getThroughGateway(`${denied}-8080`)).rejects.toThrow();
  }, 150_000);

  it('lists, shows and logs what runs', async () => {
    expect((await stack.vouch(['ls'])).stdout).toContain(instanceId);
    expect((await stack.vouch(['ls', 'hosts', '-o', 'name'])).stdout.trim().split('\n').sort()).toEqual([
      'host-a',
      'host-b',
    ]);
    expect(JSON.parse((await stack.vouch(['get', 'instance', instanceId, '-o', 'json'])).stdout)).toMatchObject({
      instanceId,
      state: 'healthy',
    });
    expect((await stack.vouch(['status'])).code).toBe(0);
    expect((await stack.vouch(['logs', instanceId])).code).toBe(0);
  });

  it('refuses bad input with the field and the reason', async () => {
    const refused = await stack.api('/v1/apps', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"appId":"zz","name":"x"}',
    });
    expect(refused.status).toBe(400);
    expect(refused.headers.get('content-type')).toContain('application/problem+json');
    expect(await refused.json()).toMatchObject({ errors: [{ field: 'appId' }] });
    expect((await stack.api('/v1/status', { headers: { authorization: 'Bearer forged' } })).status).toBe(401);
    expect((await stack.vouch(['get', 'instance', 'f'.repeat(40)])).code).toBe(1);
  });

  it('serves the OpenAPI document that docs/openapi.json holds (write it anew with UPDATE_DOCS=1)', async () => {
    const committed = join(import.meta.dirname, '../../docs/openapi.json');
    const served = `${JSON.stringify(await (await stack.api('/docs-json')).json(), null, 2)}\n`;
    if (process.env.UPDATE_DOCS === '1') writeFileSync(committed, served);
    expect(existsSync(committed) && readFileSync(committed, 'utf8')).toBe(served);
  });

  it('writes no secret into a log, an event or an argument', async () => {
    const secrets = ['operator.token', 'kms.passphrase', 'reader.password']
      .map((name) => readFileSync(join(stack.folder, 'keys', name), 'utf8').trim())
      .concat(
        readdirSync(join(stack.folder, 'keys'))
          .filter((name) => name.endsWith('.nk'))
          .map((name) => readFileSync(join(stack.folder, 'keys', name), 'utf8').trim()),
      );
    const logs = readdirSync(join(stack.folder, 'logs'))
      .filter((name) => name !== 'up.log')
      .map((name) => readFileSync(join(stack.folder, 'logs', name), 'utf8'));
    const argv = readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map((pid) => {
        try {
          return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
        } catch {
          return '';
        }
      });
    const eventText = JSON.stringify(await events());
    for (const secret of secrets) {
      expect(secret.length).toBeGreaterThan(15);
      for (const text of [...logs, ...argv, eventText]) expect(text.includes(secret)).toBe(false);
    }
  });

  it('replays the log to equal projections and an equal root; a changed byte in Postgres is located', async () => {
    const equal = await stack.vouch(['audit', 'replay', '--json']);
    expect(equal.code).toBe(0);
    expect(JSON.parse(equal.stdout.trim().split('\n').at(-1) ?? '')).toMatchObject({ equal: true });
    const environment = JSON.parse(readFileSync(join(stack.folder, 'audit.env.json'), 'utf8')) as {
      DATABASE_URL: string;
    };
    const client = new pg.Client({ connectionString: environment.DATABASE_URL });
    await client.connect();
    try {
      await client.query('update event set bytes = set_byte(bytes, 40, get_byte(bytes, 40) # 1) where seq = 5');
      const differs = await stack.vouch(['audit', 'replay']);
      expect(differs.code).toBe(2);
      expect(differs.stdout + differs.stderr).toMatch(/5/);
      expect(differs.stdout + differs.stderr).toMatch(/40/);
      await client.query('update event set bytes = set_byte(bytes, 40, get_byte(bytes, 40) # 1) where seq = 5');
    } finally {
      await client.end();
    }
    expect((await stack.vouch(['audit', 'replay'])).code).toBe(0);
  }, 120_000);

  it('stops and removes an instance, and its route with it', async () => {
    expect((await stack.vouch(['stop', instanceId, '--wait'])).code).toBe(0);
    await expect(stack.getThroughGateway(`${appId}-8080`)).rejects.toThrow();
    expect((await stack.vouch(['rm', instanceId, '--wait'])).code).toBe(0);
  }, 120_000);

  it('leaves nothing behind after `vouch down --purge`', async () => {
    const { services, servers } = await stack.state();
    const pids = [
      ...services.flatMap(({ process }) => (process === null ? [] : [process.pid])),
      ...servers.map(({ pid }) => pid),
    ];
    expect(pids.length).toBeGreaterThan(8);
    expect((await stack.vouch(['down', '--purge'])).code).toBe(0);
    expect(existsSync(stack.folder)).toBe(false);
    expect(pids.filter((pid) => existsSync(`/proc/${pid}`))).toEqual([]);
  }, 120_000);
});
