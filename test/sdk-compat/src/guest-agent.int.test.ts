import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { grantReportData, parseEventLog, parseQuote } from '@vouch/attestation';
import { canonicalJson, claimsSchema, evidenceSchema } from '@vouch/domain';
import { deriveAppKeys, RootKeys, sealEnv } from '@vouch/keys';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Submission } from './fake-host.js';
import { type Decision, FakeKms } from './fake-kms.js';
import { exitOf, type Guest, type GuestOptions, GuestStage } from './guest-stage.js';

const bash = (script: string, more: Readonly<Record<string, unknown>> = {}): NonNullable<GuestOptions['compose']> => ({
  manifest_version: 2,
  name: 'test',
  runner: 'bash',
  bash_script: script,
  ...more,
});

let stage: GuestStage;
let guest: Guest;

beforeAll(async () => {
  stage = await GuestStage.open();
});
afterAll(async () => {
  await stage.close();
});
afterEach(async () => {
  await guest.close();
});

/** True while a process (zombies aside) exists. */
async function lives(pid: number): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  return status !== undefined && !status.includes(') Z ');
}

async function gone(pid: number): Promise<void> {
  while (await lives(pid)) await sleep(20);
}

async function pidsOf(log: () => Promise<string>, count: number): Promise<number[]> {
  for (;;) {
    const text = await log().catch(() => '');
    const pids = [...text.matchAll(/pid (\d+)/g)].map((match) => Number(match[1]));
    if (pids.length >= count) return pids;
    await sleep(20);
  }
}

describe('boot', () => {
  it('goes from the shared folder to a healthy app, every step reported', async () => {
    guest = await stage.guest({ compose: bash('env | sort') });
    await guest.startHealthy();
    expect(guest.host.steps.map(({ step }) => step).slice(0, 7)).toEqual([
      'configuration-read',
      'measured',
      'quoted',
      'evidence-submitted',
      'keys-received',
      'socket-ready',
      'app-starting',
    ]);
    const environment = await guest.appLog();
    expect(environment).toContain(`DSTACK_SIMULATOR_ENDPOINT=${guest.dstackSocket}\n`);
    expect(environment).toContain(`DSTACK_AGENT_ADDRESS=unix:${guest.dstackSocket}\n`);
    expect(environment).toContain('VOUCH_ADDRESS=127.0.0.1\n');
    expect(environment).toContain(`VOUCH_NODE_BIN=${process.execPath}\n`);
    expect(environment).not.toContain('NODE_OPTIONS');
    expect(await guest.stop()).toBe(0);
    expect(existsSync(guest.dstackSocket)).toBe(false);
  });

  it('submits evidence that binds its claims, measured in the order dstack measures', async () => {
    guest = await stage.guest();
    await guest.startHealthy();
    const [submission] = guest.host.submissions;
    if (submission === undefined) throw new Error('nothing was submitted');
    const claims = claimsSchema.parse(submission.claims);
    const evidence = evidenceSchema.parse(submission.evidence);
    expect(claims).toMatchObject({ challenge: guest.host.challenges[0], instanceId: guest.instanceId, epoch: 3 });
    const quote = parseQuote(Buffer.from(evidence.quote, 'base64'));
    if (!quote.ok) throw new Error(quote.failed.detail);
    expect([...quote.quote.report.reportData]).toEqual([...grantReportData(canonicalJson(claims))]);
    const log = parseEventLog(evidence.eventLog);
    if (!log.ok) throw new Error(log.failed.detail);
    const runtime = log.events.filter(({ imr }) => imr === 3);
    expect(runtime.map(({ event, payload }) => [event, Buffer.from(payload).toString('hex')])).toEqual([
      ['system-preparing', ''],
      ['app-id', guest.appId],
      ['compose-hash', guest.composeHash],
      ['instance-id', guest.instanceId],
      ['boot-mr-done', ''],
    ]);
  });

  it('keeps keys in files of its own and out of its log', async () => {
    guest = await stage.guest();
    const agent = guest.start();
    let output = '';
    agent.stdout?.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    await guest.host.until(() => guest.host.healthyReports.length > 0);
    const path = join(guest.state, '.appkeys.json');
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await stat(join(guest.state, 'runtime_events.log'))).mode & 0o777).toBe(0o600);
    expect((await stat(guest.dstackSocket)).mode & 0o777).toBe(0o600);
    const keys = JSON.parse(await readFile(path, 'utf8')) as Record<string, string>;
    const expected = deriveAppKeys(
      stage.kms.root,
      Buffer.from(guest.appId, 'hex'),
      Buffer.from(guest.instanceId, 'hex'),
    );
    expect(keys.k256_key).toBe(Buffer.from(expected.k256Key).toString('hex'));
    await guest.stop();
    const told = output + JSON.stringify([guest.host.steps, guest.host.submissions]);
    for (const secret of [keys.disk_crypt_key, keys.env_crypt_key, keys.k256_key]) {
      expect(secret).toMatch(/^[0-9a-f]{64}$/);
      expect(told).not.toContain(secret);
    }
  });

  it('gives the app the allowed part of its encrypted environment', async () => {
    const app = Buffer.from('11'.repeat(20), 'hex');
    const { envPublicKey } = deriveAppKeys(stage.kms.root, app, new Uint8Array());
    const encryptedEnv = sealEnv(envPublicKey, [
      { key: 'ALLOWED', value: 'two\nlines' },
      { key: 'OTHER', value: 'dropped' },
      { key: 'VOUCH_ADDRESS', value: '0.0.0.0' },
    ]);
    const compose = bash('echo "[$ALLOWED][$OTHER][$VOUCH_ADDRESS]"', { allowed_envs: ['ALLOWED', 'VOUCH_ADDRESS'] });
    guest = await stage.guest({ compose, encryptedEnv });
    await guest.startHealthy();
    expect(await guest.appLog()).toBe('[two\nlines][][127.0.0.1]\n');
  });

  it('does not start with an environment that does not open', async () => {
    guest = await stage.guest({ encryptedEnv: new Uint8Array(80) });
    expect(await exitOf(guest.start())).toBe(1);
    expect(await guest.host.untilStep('failed')).toMatch(/^encrypted-env-invalid: /);
    expect(existsSync(join(guest.folder, 'app.log'))).toBe(false);
  });

  it.each([
    ['not JSON', '{', 'app-compose-invalid'],
    ['an unknown runner', '{"manifest_version":2,"name":"x","runner":"k8s"}', 'app-compose-invalid'],
    ['no script', '{"manifest_version":2,"name":"x","runner":"bash"}', 'app-compose-invalid'],
    ['an init script', bash('true', { init_script: 'true' }), 'app-compose-unsupported'],
    ['requirements', bash('true', { requirements: { platforms: [] } }), 'app-compose-unsupported'],
    ['another key provider', bash('true', { key_provider: 'tpm' }), 'app-compose-unsupported'],
    ['a compose larger than the limit', bash('x'.repeat(129 * 1024)), 'shared-file-invalid'],
  ])('refuses %s before it asks for anything', async (_, compose, code) => {
    guest = await stage.guest({ compose });
    expect(await exitOf(guest.start())).toBe(1);
    expect(await guest.host.untilStep('failed')).toMatch(new RegExp(`^${code}: `));
    expect(guest.host.challenges).toEqual([]);
  });

  it('refuses a TD that was configured for another compose', async () => {
    guest = await stage.guest();
    await guest.launch(`01${'ab'.repeat(32)}${'00'.repeat(15)}`);
    expect(await exitOf(guest.start())).toBe(1);
    expect(await guest.host.untilStep('failed')).toMatch(/^mr-config-mismatch: /);
    expect(guest.host.submissions).toEqual([]);
  });
});

describe('decisions', () => {
  it('ends with status 3 and the reason when it is denied', async () => {
    guest = await stage.guest();
    guest.host.decide = async ({ requestId, claims }) =>
      stage.kms.deny(requestId, claims, 'policy.app', 'compose hash not allowed');
    expect(await exitOf(guest.start())).toBe(3);
    expect(await guest.host.untilStep('failed')).toBe(
      'grant-denied: the KMS denied the keys: check policy.app: compose hash not allowed',
    );
    expect(existsSync(join(guest.state, '.appkeys.json'))).toBe(false);
    expect(existsSync(guest.dstackSocket)).toBe(false);
  });

  it('asks again with a new challenge when only the challenge was refused', async () => {
    guest = await stage.guest();
    guest.host.decide = async ({ requestId, claims }, attempt) =>
      attempt === 1
        ? stage.kms.deny(requestId, claims, 'challenge.fresh', 'expired')
        : await stage.kms.grant(requestId, claims, guest.composeHash);
    await guest.startHealthy();
    expect(new Set(guest.host.submissions.map(({ claims }) => claims.challenge)).size).toBe(2);
  });

  type Tamper = (decision: Decision) => Decision | Promise<Decision>;
  const tampered: readonly (readonly [string, string, Tamper])[] = [
    ['another request', 'another request', (decision) => ({ ...decision, requestId: randomUUID() })],
    ['another KMS root', 'Unexpected key provider id', (decision) => ({ ...decision, kms: new FakeKms().statement() })],
    [
      'an event key the root did not endorse',
      'does not endorse',
      (decision) => ({ ...decision, kms: { ...decision.kms, eventKey: new FakeKms().statement().eventKey } }),
    ],
    [
      'a changed event',
      'receipt does not verify',
      (decision) => {
        const receipt = decision.receipt as { event: string };
        const event = Buffer.from(Buffer.from(receipt.event, 'base64').toString().replace('"epoch":3', '"epoch":4'));
        return { ...decision, receipt: { ...receipt, event: event.toString('base64') } };
      },
    ],
    ['no receipt', 'receipt does not verify', (decision) => ({ ...decision, receipt: null })],
    [
      'a changed payload',
      'payloadHash',
      (decision) => {
        const enc = decision.sealed?.enc ?? '';
        return { ...decision, sealed: { enc, ciphertext: Buffer.alloc(64).toString('base64') } };
      },
    ],
    ['a payload left out', 'without a payload', (decision) => ({ ...decision, sealed: null })],
    ['a denial dressed as a grant', 'its event is grant.issued', (decision) => ({ ...decision, outcome: 'denied' })],
  ];
  it.each(tampered)('does not accept %s', async (_, reason, tamper) => {
    guest = await stage.guest();
    guest.host.decide = async ({ requestId, claims }) =>
      await tamper(await stage.kms.grant(requestId, claims, guest.composeHash));
    expect(await exitOf(guest.start())).toBe(1);
    const detail = await guest.host.untilStep('failed');
    expect(detail).toMatch(/^grant-unverifiable: /);
    expect(detail).toContain(reason);
    expect(existsSync(join(guest.state, '.appkeys.json'))).toBe(false);
  });

  const misdirected: readonly (readonly [string, Parameters<FakeKms['grant']>[3]])[] = [
    ['composeHash', (data) => ({ ...data, composeHash: '00'.repeat(32) })],
    ['epoch', (data) => ({ ...data, epoch: 2 })],
    ['hostId', (data) => ({ ...data, hostId: 'other-host' })],
    ['appId', (data) => ({ ...data, appId: '99'.repeat(20) })],
    ['requestId', (data) => ({ ...data, requestId: randomUUID() })],
    ['keys.hpke', (data) => ({ ...data, keys: { ...data.keys, hpke: '42'.repeat(32) } })],
    ['keys.wireguard', (data) => ({ ...data, keys: { ...data.keys, wireguard: '42'.repeat(32) } })],
    ['keys.tls', (data) => ({ ...data, keys: { ...data.keys, tls: '42'.repeat(91) } })],
  ];
  it.each(misdirected)('does not accept a genuine grant with another %s', async (field, change) => {
    guest = await stage.guest();
    guest.host.decide = async ({ requestId, claims }) =>
      await stage.kms.grant(requestId, claims, guest.composeHash, change);
    expect(await exitOf(guest.start())).toBe(1);
    expect(await guest.host.untilStep('failed')).toContain(`its ${field} is not that of this guest`);
  });

  it('holds an app to the KMS root that its compose pins', async () => {
    const spki = Buffer.from(RootKeys.generate().caSpki).toString('hex');
    guest = await stage.guest({ compose: bash('true', { key_provider_id: spki }) });
    expect(await exitOf(guest.start())).toBe(1);
    expect(await guest.host.untilStep('failed')).toContain('key_provider_id of app-compose.json');
    await guest.close();
    const right = Buffer.from(stage.kms.root.caSpki).toString('hex');
    guest = await stage.guest({ compose: bash('true', { key_provider_id: right }) });
    await guest.startHealthy();
  });

  it('does not accept a checkpoint of another log, or any KMS when none is named', async () => {
    const trust = stage.kms.trust();
    const { publicKey } = new FakeKms().trust().log;
    guest = await stage.guest({ trust: { ...trust, log: { ...trust.log, publicKey } } });
    expect(await exitOf(guest.start())).toBe(1);
    expect(await guest.host.untilStep('failed')).toContain('receipt does not verify');
    await guest.close();
    const { kmsRoot: _, ...anonymous } = trust;
    guest = await stage.guest({ trust: anonymous });
    expect(await exitOf(guest.start())).toBe(1);
    expect(await guest.host.untilStep('failed')).toMatch(/^kms-root-unknown: /);
  });
});

describe('restarts', () => {
  it('waits for a host that comes late, goes away and returns', async () => {
    guest = await stage.guest();
    await guest.host.stop();
    const { host } = guest;
    let decide = false;
    const grant = ({ requestId, claims }: Submission) => stage.kms.grant(requestId, claims, guest.composeHash);
    host.decide = async (submission) => (decide ? await grant(submission) : undefined);
    guest.start();
    await host.start();
    await host.until(() => host.submissions.length === 1);
    await host.stop();
    decide = true;
    await host.start();
    const [first] = host.submissions;
    if (first === undefined) throw new Error('nothing was submitted');
    host.decideLater(first.requestId, await grant(first));
    await host.until(() => host.healthyReports.length > 0);
    expect(host.submissions).toHaveLength(1);
  });

  it('hands the same evidence over again when the answer was lost', async () => {
    guest = await stage.guest();
    guest.host.attestAnswersToLose = 2;
    await guest.startHealthy();
    expect(guest.host.submissions).toHaveLength(1);
    expect(guest.host.challenges).toHaveLength(1);
  });

  it('takes a new challenge when the evidence could not be handed over in time', async () => {
    guest = await stage.guest();
    guest.host.challengeLifeMs = -1;
    guest.start();
    await guest.host.until(() => guest.host.challenges.length > 1);
    guest.host.challengeLifeMs = 60_000;
    await guest.host.until(() => guest.host.healthyReports.length > 0);
    expect(guest.host.submissions).toHaveLength(1);
  });

  it('attests anew after a relaunch, with other keys, and runs one app', async () => {
    guest = await stage.guest({ compose: bash('echo pid $$; exec sleep 1000') });
    await guest.startHealthy();
    const [first = 0] = await pidsOf(() => guest.appLog(), 1);
    await guest.stop('SIGKILL');
    await gone(first);
    await guest.launch();
    await guest.startHealthy();
    const [, second = 0] = await pidsOf(() => guest.appLog(), 2);
    expect(await lives(second)).toBe(true);
    const [one, two] = guest.host.submissions;
    expect(two?.claims.hpkeKey).not.toBe(one?.claims.hpkeKey);
    expect(two?.claims.challenge).not.toBe(one?.claims.challenge);
  });

  it('continues on the same TD when only the agent was killed, measuring nothing twice', async () => {
    guest = await stage.guest();
    await guest.startHealthy();
    await guest.stop('SIGKILL');
    await guest.startHealthy();
    const [, second] = guest.host.submissions;
    const log = parseEventLog(second?.evidence.eventLog ?? '');
    if (!log.ok) throw new Error(log.failed.detail);
    const names = log.events.filter(({ imr }) => imr === 3).map(({ event }) => event);
    expect(new Set(names).size).toBe(names.length);
    expect(names.at(-1)).toBe('system-ready');
  });

  it('refuses to go on when RTMR3 holds what its log does not', async () => {
    guest = await stage.guest();
    await guest.startHealthy();
    await guest.stop('SIGKILL');
    await rm(join(guest.state, 'runtime_events.log'));
    expect(await exitOf(guest.start())).toBe(1);
    expect(await guest.host.untilStep('failed')).toMatch(/^measurement-mismatch: /);
    expect(guest.host.submissions).toHaveLength(1);
  });

  it('lets no second agent work in the same folder', async () => {
    guest = await stage.guest();
    const first = await guest.startHealthy();
    expect(await exitOf(guest.start())).toBe(1);
    expect(await guest.host.untilStep('failed')).toMatch(/^already-running: /);
    expect(first.exitCode).toBeNull();
    first.kill('SIGTERM');
    expect(await exitOf(first)).toBe(0);
  });
});

describe('the app', () => {
  it('is healthy when every declared port accepts, and not before', async () => {
    const open = (port: number) =>
      `(exec "$VOUCH_NODE_BIN" -e 'require("net").createServer().listen(${port}, process.env.VOUCH_ADDRESS)') &`;
    const script = `${open(18080)}\nwhile [ ! -e go ]; do sleep 0.05; done\n${open(18081)}\nwait`;
    guest = await stage.guest({ compose: bash(script), ports: [18080, 18081], address: '127.64.9.9' });
    guest.start();
    await guest.host.untilStep('app-starting');
    while (!(await accepts('127.64.9.9', 18080))) await sleep(20);
    expect(guest.host.healthyReports).toEqual([]);
    await writeFile(join(guest.state, 'app', 'go'), '');
    await guest.host.until(() => guest.host.healthyReports.length > 0);
    expect(guest.host.healthyReports).toEqual([[18080, 18081]]);
    await guest.stop();
    expect(await accepts('127.64.9.9', 18080)).toBe(false);
  });

  it('is started again after a crash', async () => {
    guest = await stage.guest({
      compose: bash('echo pid $$; [ -e crashed ] || { touch crashed; exit 7; }; exec sleep 1000'),
    });
    await guest.startHealthy();
    expect(guest.host.steps.find(({ step }) => step === 'app-restarting')?.detail).toContain('status 7');
    expect(await pidsOf(() => guest.appLog(), 2)).toHaveLength(2);
  });

  it('may finish, and its guest stays', async () => {
    guest = await stage.guest({ compose: bash('echo done') });
    const agent = await guest.startHealthy();
    await guest.host.untilStep('app-finished');
    expect(agent.exitCode).toBeNull();
    expect(existsSync(guest.dstackSocket)).toBe(true);
  });

  it('ends with its whole process group when the agent is stopped, even when it does not want to', async () => {
    const script =
      'trap "" TERM; echo pid $$; (trap "" TERM; echo pid $BASHPID; while :; do sleep 1; done) & while :; do sleep 1; done';
    guest = await stage.guest({ compose: bash(script) });
    await guest.startHealthy();
    const pids = await pidsOf(() => guest.appLog(), 2);
    expect(await guest.stop()).toBe(0);
    for (const pid of pids) expect(await lives(pid)).toBe(false);
  });

  it('is over when it ended, even if something that left its group holds its output', async () => {
    const script =
      'setsid sh -c "echo pid \\$\\$; exec sleep 60" & while ! grep -q pid ../../app.log; do sleep 0.05; done';
    guest = await stage.guest({ compose: bash(script) });
    await guest.startHealthy();
    await guest.host.untilStep('app-finished');
    const [escaped = 0] = await pidsOf(() => guest.appLog(), 1);
    process.kill(escaped, 'SIGKILL');
  });

  it('ends when its agent is killed', async () => {
    guest = await stage.guest({ compose: bash('echo pid $$; (echo pid $BASHPID; while :; do sleep 1; done) & wait') });
    await guest.startHealthy();
    const pids = await pidsOf(() => guest.appLog(), 2);
    await guest.stop('SIGKILL');
    for (const pid of pids) await gone(pid);
  });

  it('says precisely that docker-compose needs an engine', async () => {
    const compose = { manifest_version: 2, name: 'x', runner: 'docker-compose', docker_compose_file: 'services: {}\n' };
    guest = await stage.guest({ compose });
    if (await accepts('unix', '/var/run/docker.sock')) return;
    expect(await exitOf(guest.start())).toBe(1);
    expect(await guest.host.untilStep('failed')).toMatch(/^runner-unavailable: runner "docker-compose": no docker/);
  });
});

function accepts(host: string, port: number | string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = typeof port === 'string' ? connect(port) : connect(port, host);
    const settle = (accepted: boolean) => () => {
      socket.destroy();
      resolve(accepted);
    };
    socket.once('connect', settle(true));
    socket.once('error', settle(false));
  });
}
