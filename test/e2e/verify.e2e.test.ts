import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { helloCompose, TestStack, unapprovedCompose } from './test-stack.js';

const verifier = resolve(import.meta.dirname, '../../apps/verifier/dist/main.js');

interface Evidence {
  readonly quote: string;
  readonly eventLog: string;
  readonly vmConfig: string;
}

let stack: TestStack;
let instanceId = '';
let appId = '';
let evidence: Evidence;
let pccs = '';
let rootFile = '';

beforeAll(async () => {
  stack = await TestStack.up();
  const result = await stack.vouch(['deploy', helloCompose, '--approve', '--wait', '--memory', '128']);
  if (result.code !== 0) throw new Error(result.stderr);
  instanceId = result.stdout.trim();
  appId = /^app {11}([0-9a-f]{40})$/m.exec(result.stderr)?.[1] ?? '';
  const answer = await stack.api('/v1/events?type=attestation.submitted&limit=10');
  const { items } = (await answer.json()) as { items: { envelope: { data: { evidence: Evidence } } }[] };
  const [submitted] = items;
  if (submitted === undefined) throw new Error('no evidence in the log');
  evidence = submitted.envelope.data.evidence;
  const { ports } = await stack.state();
  pccs = `http://127.0.0.1:${ports.pccs}`;
  const context = JSON.parse(await readFile(join(stack.folder, 'context.json'), 'utf8')) as Record<string, string>;
  rootFile = context.unsafeTrustAnchorFile ?? '';
}, 300_000);

afterAll(async () => {
  await stack?.down();
}, 120_000);

describe('vouch verify against a real stack', () => {
  it.each(['name', 'app id', 'instance id'])('verifies the hello app by its %s', async (by) => {
    const target = by === 'name' ? 'hello' : by === 'app id' ? appId : instanceId;
    const { code, stdout, stderr } = await stack.vouch(['verify', target, '-o', 'json']);
    expect(stderr).toBe(by === 'instance id' ? '' : `app ${target}: instance ${instanceId}\n`);
    expect(code).toBe(0);
    const report = JSON.parse(stdout) as { checks: { name: string; outcome: string }[] };
    expect(report).toMatchObject({ instance: instanceId, ok: true, verdict: 'accepted', facts: { appId, instanceId } });
    const passed = report.checks.filter(({ outcome }) => outcome === 'pass').map(({ name }) => name);
    for (const name of [
      'grant.receipt',
      'evidence.receipt',
      'quote.signature',
      'event-log.rtmr3',
      'policy.report-data',
    ])
      expect(passed).toContain(name);
  });

  it('holds a grant against a policy of the asker', async () => {
    const path = join(stack.folder, 'other-app.json');
    await writeFile(path, JSON.stringify({ appIds: ['00'.repeat(20)] }));
    const { code, stdout } = await stack.vouch(['verify', instanceId, '--policy', path]);
    expect(stdout).toMatch(/^fail {4}policy\.app-id/m);
    expect(code).toBe(5);
  });

  it('says denied for an instance whose keys were denied, and names no app it does not know', async () => {
    const deploy = await stack.vouch(['deploy', unapprovedCompose, '--app', appId, '--wait', '--memory', '128']);
    const denied = /^instance {6}([0-9a-f]{40})$/m.exec(deploy.stderr)?.[1] ?? '';
    const { code, stdout } = await stack.vouch(['verify', denied]);
    expect(stdout).toMatch(/^fail {4}grant\.outcome/m);
    expect(code).toBe(5);
    expect((await stack.vouch(['verify', 'nobody'])).code).toBe(1);
    expect((await stack.vouch(['verify', '0'.repeat(40)])).code).toBe(1);
  }, 150_000);

  it('verifies the evidence of the log as a file, and refuses it when a byte differs', async () => {
    const good = join(stack.folder, 'evidence.json');
    await writeFile(good, JSON.stringify(evidence));
    const options = ['--pccs', pccs, '--unsafe-trust-anchor', rootFile, '--no-cache'];
    expect((await stack.vouch(['verify', good, ...options])).code).toBe(0);
    const quote = Buffer.from(evidence.quote, 'base64');
    quote.writeUInt8(quote.readUInt8(600) ^ 1, 600);
    const bad = join(stack.folder, 'changed.json');
    await writeFile(bad, JSON.stringify({ ...evidence, quote: quote.toString('base64') }));
    expect((await stack.vouch(['verify', bad, ...options])).code).toBe(2);
  });

  it('is of one mind with the verifier service', async () => {
    const child = spawn(process.execPath, [verifier], {
      env: {
        VOUCH_MODE: 'development',
        VERIFIER_LISTEN: '127.0.0.1:0',
        VERIFIER_PCCS_URL: pccs,
        VERIFIER_UNSAFE_TRUST_ANCHOR_FILE: rootFile,
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
      const { url } = JSON.parse(line) as { url: string };
      const quote = Buffer.from(evidence.quote, 'base64').toString('hex');
      const body = JSON.stringify({ quote, event_log: evidence.eventLog, vm_config: evidence.vmConfig });
      const response = await fetch(`${url}/verify`, { method: 'POST', body });
      expect(await response.json()).toMatchObject({
        is_valid: true,
        details: { quote_verified: true, os_image_hash_verified: true, app_info: { app_id: appId } },
      });
    } finally {
      child.kill('SIGTERM');
    }
  });
});
