import { randomBytes, X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import type { NatsConnection } from '@nats-io/transport-node';
import { approveCompose, deployApp, revokeCompose } from '@vouch/contracts';
import type { EventData } from '@vouch/domain';
import { decodeGrantPayload, generateP256, openPayload, signCertificateRequest } from '@vouch/keys';
import { BusRequestError, busRequest } from '@vouch/platform';
import { freePort } from '@vouch/platform/local-servers';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { SealedMessage } from './grant/sealed-message.js';
import type { ChildService } from './testing/child-service.js';
import { KmsStack, OS_IMAGE } from './testing/kms-stack.js';
import { SimulatedGuest } from './testing/simulated-guest.js';

const COMPOSE = 'c0'.repeat(32);
let stack: KmsStack;
let kms: ChildService;
let appId: string;
let host1: NatsConnection;
let host2: NatsConnection;
const sealed: SealedMessage[] = [];

beforeAll(async () => {
  stack = await KmsStack.start();
  stack.startAuditor();
  host1 = await stack.bus.connect({ service: 'host-worker', node: 'host-1' });
  host2 = await stack.bus.connect({ service: 'host-worker', node: 'host-2' });
  for (const connection of [host1, host2]) {
    const host = connection === host1 ? 'host-1' : 'host-2';
    connection.subscribe(`sealed.${host}.>`, { callback: (_error, message) => void sealed.push(message.json()) });
    await connection.flush();
  }
  appId = await stack.withSigner((signer) =>
    deployApp(signer, stack.kmsContract, { composeHash: COMPOSE, allowAnyDevice: true }),
  );
  kms = stack.kms({ KMS_POLICY_POLL_MS: '200' });
  await isReady(kms);
});
afterAll(async () => {
  await kms.end('SIGKILL');
  await stack.stop();
});
beforeEach(() => {
  sealed.length = 0;
});
afterEach(() => {
  expect(kms.lines.filter(({ level }) => level === 'error' || level === 60)).toEqual([]);
});

const nameOf = (data: object) => (data as { name?: string }).name ?? '';
const isReady = (service: ChildService) => service.line(({ msg }) => msg === 'the policy answers');

async function placed(composeHash = COMPOSE, hostId = 'host-1', epoch = 1): Promise<SimulatedGuest> {
  const instanceId = randomBytes(20).toString('hex');
  const releaseId = randomBytes(16).toString('hex');
  await stack.append('release.created', {
    ...{ releaseId, appId, composeHash, appCompose: '{}', name: 'hello', encryptedEnv: '', ports: [8080] },
    resources: { vcpu: 1, memoryMiB: 512, diskGiB: 1 },
  });
  await stack.append('instance.created', { instanceId, appId, releaseId, composeHash, seed: '3d'.repeat(20) });
  for (let at = 1; at <= epoch; at += 1) {
    const place = { hostId, instanceId, epoch: at, address: '127.16.0.5', reason: 'test' };
    await stack.append('instance.placed', place);
  }
  return await SimulatedGuest.boot(stack.simulatorDir, OS_IMAGE, { appId, instanceId, composeHash });
}

async function challengeFor(guest: SimulatedGuest, epoch = 1, host = host1, hostId = 'host-1'): Promise<string> {
  const { instanceId } = guest.measured;
  const reply = await busRequest(host, `kms.challenge.${hostId}`, { instanceId, epoch }, { timeoutMs: 10_000 });
  return (reply as { challenge: string }).challenge;
}

async function submit(data: EventData<'attestation.submitted'>): Promise<string> {
  return (await stack.append('attestation.submitted', data, data.hostId)).envelope.id;
}

async function answer(requestId: string): Promise<SealedMessage> {
  await expect.poll(() => sealed.find((message) => message.requestId === requestId), { timeout: 30_000 }).toBeDefined();
  return sealed.find((message) => message.requestId === requestId) as SealedMessage;
}

async function attest(guest: SimulatedGuest): Promise<SealedMessage> {
  return await answer(await submit(await guest.submission('host-1', 1, await challengeFor(guest))));
}

const grantOf = (message: SealedMessage) =>
  JSON.parse(Buffer.from(message.receipt.event, 'base64').toString()) as {
    type: string;
    data: EventData<'grant.issued'> & EventData<'grant.denied'>;
  };

async function thenDenied(data: EventData<'attestation.submitted'>, check: string, reason: RegExp): Promise<void> {
  const message = await answer(await submit(data));
  expect(message).toMatchObject({ outcome: 'denied', sealed: null });
  const { type, data: denial } = grantOf(message);
  expect({ type, failedCheck: denial.failedCheck }).toEqual({ type: 'grant.denied', failedCheck: check });
  expect(denial.reason).toMatch(reason);
}

describe('the KMS as a process on real parts', () => {
  it('announces its root in the log', async () => {
    const [first] = await stack.store.readSubject('evt.kms.kms-1');
    expect(first?.envelope).toMatchObject({
      type: 'kms.bootstrapped',
      data: {
        rootCaSpki: stack.statement?.rootCaSpki,
        contract: stack.kmsContract,
        chainId: 31337,
        unsafe: ['unsafePassphraseKeyProvider', 'unsafeTrustAnchor'],
      },
    });
  });

  it('grants an attested guest its keys, and certifies a key for it', async () => {
    const guest = await placed();
    const message = await attest(guest);
    const { data } = grantOf(message);
    expect(message.outcome, data.reason).toBe('issued');
    expect(data.checks.filter(({ outcome }) => outcome === 'fail')).toEqual([]);
    expect(data.unsafe).toEqual(['unsafePassphraseKeyProvider', 'unsafeProcessGuest', 'unsafeTrustAnchor']);
    const { enc, ciphertext } = message.sealed ?? { enc: '', ciphertext: '' };
    const bytes = { enc: Buffer.from(enc, 'base64'), ciphertext: Buffer.from(ciphertext, 'base64') };
    const payload = decodeGrantPayload(await openPayload(guest.hpke.privateKey, message.requestId, bytes));
    expect(payload.keyProvider.id).toBe(stack.statement?.rootCaSpki);
    const request = signCertificateRequest(
      {
        ...{ version: 1, appId, instanceId: guest.measured.instanceId, epoch: 1, grantSeq: message.receipt.seq },
        publicKey: Buffer.from(generateP256().spki).toString('hex'),
        ...{ subject: '', altNames: ['hello.example.com'], usages: ['serverAuth'] },
      },
      guest.identity.privateKey,
    );
    const reply = await busRequest(host1, 'kms.certificate.host-1', { request }, { timeoutMs: 10_000 });
    const [leaf, appCa, root] = (reply as { chain: string[] }).chain.map((pem) => new X509Certificate(pem));
    expect(leaf?.verify(appCa?.publicKey ?? guest.identity.privateKey)).toBe(true);
    expect(root?.toString()).toBe(payload.caCert);
  });

  it('denies an unapproved compose hash, and grants it once the owner has approved it', async () => {
    const composeHash = 'c7'.repeat(32);
    const guest = await placed(composeHash);
    await thenDenied(
      await guest.submission('host-1', 1, await challengeFor(guest)),
      'policy.app',
      /Compose hash not allowed/,
    );
    await stack.withSigner((signer) => approveCompose(signer, appId, composeHash));
    expect((await attest(guest)).outcome).toBe('issued');
    await stack.withSigner((signer) => revokeCompose(signer, appId, composeHash));
  });

  it('logs what the contracts say, signed, in the order of the chain', async () => {
    await expect
      .poll(async () =>
        (await stack.store.readSubject(`evt.policy.${appId}`)).map(({ envelope }) => nameOf(envelope.data)),
      )
      .toEqual(['implementation-upgrade', 'owner', 'allow-any-device', 'compose-hash', 'compose-hash', 'compose-hash']);
    const ofKms = (await stack.store.readSubject(`evt.policy.${stack.kmsContract}`)).map(
      ({ envelope }) => envelope.data,
    );
    expect(ofKms.map(nameOf)).toEqual([
      ...['implementation-upgrade', 'owner', 'app-implementation', 'os-image', 'registered-app'],
    ]);
    expect(ofKms.at(3)).toMatchObject({ name: 'os-image', value: OS_IMAGE, enabled: true, app: null, chainId: 31337 });
  });

  it('denies a replayed submission, an edited log, borrowed claims and a broken quote', async () => {
    const guest = await placed();
    const data = await guest.submission('host-1', 1, await challengeFor(guest));
    expect((await answer(await submit(data))).outcome).toBe('issued');
    await thenDenied(data, 'challenge.fresh', /used by another/);
    const eventLog = data.evidence.eventLog.replace(COMPOSE, 'c1'.repeat(32));
    await thenDenied({ ...data, evidence: { ...data.evidence, eventLog } }, 'event-log.replay', /rtmr3/);
    await thenDenied({ ...data, claims: { ...data.claims, hpkeKey: '99'.repeat(32) } }, 'claims.bound', /cover/);
    const quote = Buffer.from(data.evidence.quote, 'base64');
    quote[48 + 520] = (quote[48 + 520] ?? 0) ^ 1;
    const broken = { ...data.evidence, quote: quote.toString('base64') };
    await thenDenied({ ...data, evidence: broken }, 'quote.signature', /./);
    const vmConfig = data.evidence.vmConfig.replace(OS_IMAGE, '06'.repeat(32));
    await thenDenied({ ...data, evidence: { ...data.evidence, vmConfig } }, 'os-image.measurement', /rtMr1/);
  });

  it('gives a challenge to the host of the placement only, and fences an old epoch', async () => {
    const guest = await placed(COMPOSE, 'host-1', 1);
    await expect(challengeFor(guest, 1, host2, 'host-2')).rejects.toMatchObject({ code: 'not-placed-here' });
    await expect(busRequest(host2, 'kms.challenge.host-1', {}, { timeoutMs: 2_000 })).rejects.toBeInstanceOf(
      BusRequestError,
    );
    const data = await guest.submission('host-1', 1, await challengeFor(guest));
    const { instanceId } = guest.measured;
    await stack.append('instance.placed', {
      hostId: 'host-2',
      instanceId,
      epoch: 2,
      address: '127.16.0.5',
      reason: '',
    });
    await thenDenied(data, 'placement.host', /host-2/);
    const stale = await placed();
    const old = await stale.submission('host-1', 1, await challengeFor(stale));
    const again = {
      hostId: 'host-1',
      instanceId: stale.measured.instanceId,
      epoch: 2,
      address: '127.16.0.5',
      reason: '',
    };
    await stack.append('instance.placed', again);
    await thenDenied(old, 'placement.epoch', /epoch 2 is in force/);
  });

  it('releases nothing while the auditor is away, and survives kill -9 in between', async () => {
    const guest = await placed();
    await stack.stopAuditor();
    const requestId = await submit(await guest.submission('host-1', 1, await challengeFor(guest)));
    const subject = `evt.grant.${guest.measured.instanceId}`;
    await expect.poll(async () => (await stack.store.readSubject(subject)).length, { timeout: 20_000 }).toBe(1);
    await kms.end('SIGKILL');
    expect(sealed).toEqual([]);
    kms = stack.kms();
    await isReady(kms);
    stack.startAuditor();
    const message = await answer(requestId);
    expect(message.outcome).toBe('issued');
    expect(await stack.store.readSubject(subject)).toHaveLength(1);
    const { enc, ciphertext } = message.sealed ?? { enc: '', ciphertext: '' };
    const bytes = { enc: Buffer.from(enc, 'base64'), ciphertext: Buffer.from(ciphertext, 'base64') };
    expect(decodeGrantPayload(await openPayload(guest.hpke.privateKey, requestId, bytes)).osImageHash).toBe(OS_IMAGE);
  });

  it('decides nothing while the policy chain is away', async () => {
    const guest = await placed();
    await stack.stopChain();
    const requestId = await submit(await guest.submission('host-1', 1, await challengeFor(guest)));
    await kms.line(({ msg }) => msg === 'handling failed: the event comes back');
    expect(await stack.store.readSubject(`evt.grant.${guest.measured.instanceId}`)).toEqual([]);
    await stack.restartChain();
    const message = await answer(requestId);
    expect(message.outcome, grantOf(message).data.reason).toBe('issued');
  });

  it('is not ready while the policy chain does not answer', async () => {
    const port = await freePort();
    const blind = stack.kms({ ETH_RPC_URL: 'http://127.0.0.1:9', VOUCH_HEALTH_LISTEN: `127.0.0.1:${port}` });
    await blind.line(({ msg }) => msg === 'not ready');
    const response = await fetch(`http://127.0.0.1:${port}/readyz`);
    expect({ status: response.status, body: await response.text() }).toEqual({
      status: 503,
      body: expect.stringContaining('policy'),
    });
    expect(await blind.end('SIGTERM')).toBe(0);
  });

  it('ends with 78 without root keys, and with a root that the trust file does not list', async () => {
    for (const KMS_DATA_DIR of [join(stack.dir, 'none'), await stack.otherRoot()]) {
      const wrong = stack.kms({ KMS_DATA_DIR });
      await expect(wrong.line(() => false)).rejects.toThrow(/ended/);
      expect(await wrong.end('SIGTERM')).toBe(78);
    }
  });
});
