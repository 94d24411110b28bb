import { randomBytes } from 'node:crypto';
import { rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { NatsConnection } from '@nats-io/transport-node';
import { deployApp } from '@vouch/contracts';
import type { EventData } from '@vouch/domain';
import { busRequest } from '@vouch/platform';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { policyFileText } from './testing/boot-info.js';
import { ChildService } from './testing/child-service.js';
import { KmsStack, OS_IMAGE } from './testing/kms-stack.js';
import { SimulatedGuest } from './testing/simulated-guest.js';
import { type StubServer, startStubServer } from './testing/stub-server.js';

const COMPOSE = 'c0'.repeat(32);
const APP_ID = 'ab'.repeat(20);
let stack: KmsStack;
let host: NatsConnection;
let kms: ChildService | undefined;
let webhook: StubServer | undefined;

beforeAll(async () => {
  stack = await KmsStack.start();
  stack.startAuditor();
  host = await stack.bus.connect({ service: 'host-worker', node: 'host-1' });
});
afterEach(async () => {
  await kms?.end('SIGKILL');
  await webhook?.stop();
  webhook = undefined;
});
afterAll(() => stack.stop());

/** Boots a guest of a placed instance and submits its evidence; answers the instance. */
async function attest(appId = APP_ID): Promise<string> {
  const instanceId = randomBytes(20).toString('hex');
  const releaseId = randomBytes(16).toString('hex');
  const release = { releaseId, appId, composeHash: COMPOSE };
  await stack.append('release.created', {
    ...{ ...release, appCompose: '{}', name: 'hello', encryptedEnv: '', ports: [8080] },
    resources: { vcpu: 1, memoryMiB: 512, diskGiB: 1 },
  });
  await stack.append('instance.created', { ...release, instanceId, seed: '3d'.repeat(20) });
  await stack.append('instance.placed', {
    ...{ hostId: 'host-1', instanceId, epoch: 1, address: '127.16.0.5', reason: 'test' },
  });
  const measured = { appId, instanceId, composeHash: COMPOSE };
  const guest = await SimulatedGuest.boot(stack.simulatorDir, OS_IMAGE, measured);
  const asked = { instanceId, epoch: 1 };
  const reply = await busRequest(host, 'kms.challenge.host-1', asked, { timeoutMs: 10_000 });
  const submission = await guest.submission('host-1', 1, (reply as { challenge: string }).challenge);
  await stack.append('attestation.submitted', submission, 'host-1');
  return instanceId;
}

const grantsOf = (instanceId: string) => stack.store.readSubject(`evt.grant.${instanceId}`);
async function decision(instanceId: string): Promise<EventData<'grant.issued'> | EventData<'grant.denied'>> {
  await expect.poll(() => grantsOf(instanceId), { timeout: 30_000 }).toHaveLength(1);
  const [event] = await grantsOf(instanceId);
  return event?.envelope.data as EventData<'grant.issued'> | EventData<'grant.denied'>;
}

async function ready(env: Record<string, string>): Promise<ChildService> {
  kms = stack.kms(env);
  await kms.line(({ msg }) => msg === 'the policy answers');
  return kms;
}

describe('a KMS whose policy is a file', () => {
  it('grants by it, records its digest, releases nothing while it is broken, and denies in its words', async () => {
    const path = join(stack.dir, 'policy.json');
    await writeFile(path, policyFileText(APP_ID, COMPOSE, OS_IMAGE));
    const service = await ready({ KMS_POLICY: 'file', KMS_POLICY_FILE: path });
    const issued = await decision(await attest());
    expect(issued.policy).toEqual({
      source: 'file',
      digest: expect.stringMatching(/^[0-9a-f]{64}$/),
      modifiedAt: expect.any(String),
      ageSeconds: expect.any(Number),
    });
    expect(issued.checks.find(({ name }) => name === 'policy.fresh')?.detail).toMatch(/no maximum age is set/);

    await writeFile(path, '');
    const waiting = await attest();
    const held = await service.line(({ msg }) => msg === 'handling failed: the event comes back');
    expect(JSON.stringify(held)).toMatch(/policy\.json: it is empty/);
    expect(await grantsOf(waiting)).toEqual([]);
    await writeFile(path, policyFileText(APP_ID, 'c9'.repeat(32), OS_IMAGE));
    expect(await decision(waiting)).toMatchObject({ failedCheck: 'policy.app', reason: 'compose hash not allowed' });
    await rm(path);
  });

  it('denies when the file is older than it may be', async () => {
    const path = join(stack.dir, 'policy.json');
    await writeFile(path, policyFileText(APP_ID, COMPOSE, OS_IMAGE));
    const hourAgo = new Date(Date.now() - 3_600_000);
    await utimes(path, hourAgo, hourAgo);
    await ready({ KMS_POLICY: 'file', KMS_POLICY_FILE: path, POLICY_MAX_AGE_SECONDS: '1800' });
    expect(await decision(await attest())).toMatchObject({
      failedCheck: 'policy.fresh',
      reason: expect.stringMatching(/older than 1800 s/),
    });
  });
});

describe('a KMS whose policy is an authorisation server', () => {
  it('takes the word of the one of this repository, which asks the contract', async () => {
    const entry = fileURLToPath(new URL('../../auth-server/dist/main.js', import.meta.url));
    const server = ChildService.start(entry, {
      PORT: '0',
      AUTH_BACKEND: 'contract',
      ETH_RPC_URL: stack.chainUrl,
      KMS_CONTRACT_ADDR: stack.kmsContract,
      ETH_CHAIN_ID: '31337',
    });
    const { url } = await server.line(({ msg }) => msg === 'ready');
    await ready({ KMS_POLICY: 'webhook', KMS_POLICY_URL: String(url) });
    expect(await decision(await attest())).toMatchObject({ failedCheck: 'policy.app', reason: 'App not registered' });
    const appId = await stack.withSigner((signer) =>
      deployApp(signer, stack.kmsContract, { composeHash: COMPOSE, allowAnyDevice: true }),
    );
    expect(await decision(await attest(appId))).toMatchObject({ appId, policy: { source: 'webhook' } });
    expect(await server.end('SIGTERM')).toBe(0);
  });

  it('grants by its word, marks plain HTTP, and releases nothing while it answers nonsense', async () => {
    let answer = JSON.stringify({ isAllowed: true, gatewayAppId: `0x${'6a'.repeat(20)}`, reason: '' });
    webhook = await startStubServer((_request, response) => void response.end(answer));
    const service = await ready({ KMS_POLICY: 'webhook', KMS_POLICY_URL: webhook.url });
    const issued = await decision(await attest());
    expect(issued).toMatchObject({
      policy: { source: 'webhook', host: new URL(webhook.url).host },
      gatewayAppId: '6a'.repeat(20),
    });
    expect(issued.unsafe).toContain('unsafePlainHttpPolicy');

    answer = '{"isAllowed":true}';
    const waiting = await attest();
    const held = await service.line(({ msg }) => msg === 'handling failed: the event comes back');
    expect(JSON.stringify(held)).toMatch(/its answer is no decision/);
    expect(await grantsOf(waiting)).toEqual([]);
    answer = JSON.stringify({ isAllowed: false, gatewayAppId: '', reason: 'not today' });
    expect(await decision(waiting)).toMatchObject({ failedCheck: 'policy.app', reason: 'not today' });
  });
});
