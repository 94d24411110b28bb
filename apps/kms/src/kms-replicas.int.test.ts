import { randomBytes, randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { NatsConnection } from '@nats-io/transport-node';
import { deployApp } from '@vouch/contracts';
import type { EventData } from '@vouch/domain';
import { decodeGrantPayload, openPayload } from '@vouch/keys';
import { busRequest } from '@vouch/platform';
import { verifyReceipt } from '@vouch/transparency';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { epochCommand } from './epoch-command.js';
import type { SealedMessage } from './grant/sealed-message.js';
import type { ChildService } from './testing/child-service.js';
import { KmsStack, OS_IMAGE } from './testing/kms-stack.js';
import { SimulatedGuest } from './testing/simulated-guest.js';

/** KMS_FAULT_ROUNDS=200 for the long run. */
const ROUNDS = Number(process.env.KMS_FAULT_ROUNDS ?? 12);
const COMPOSE = 'c0'.repeat(32);
/** A request that a killed replica held comes back to the other after the consumer's ack wait (30 s). */
const PATIENCE_MS = 75_000;

let stack: KmsStack;
let host: NatsConnection;
let appId: string;
const replicas: ChildService[] = [];
const sealed: SealedMessage[] = [];

beforeAll(async () => {
  stack = await KmsStack.start();
  stack.startAuditor();
  host = await stack.bus.connect({ service: 'host-worker', node: 'host-1' });
  host.subscribe('sealed.host-1.>', { callback: (_error, message) => void sealed.push(message.json()) });
  await host.flush();
  appId = await stack.withSigner((signer) =>
    deployApp(signer, stack.kmsContract, { composeHash: COMPOSE, allowAnyDevice: true }),
  );
  replicas.push(stack.kms(), stack.kms());
  await Promise.all(replicas.map(isReady));
});
afterAll(async () => {
  await Promise.all(replicas.map((replica) => replica.end('SIGKILL')));
  await stack.stop();
});

const isReady = (service: ChildService) => service.line(({ msg }) => msg === 'ready');

async function placed(): Promise<SimulatedGuest> {
  const instanceId = randomBytes(20).toString('hex');
  const releaseId = randomBytes(16).toString('hex');
  const release = { releaseId, appId, composeHash: COMPOSE };
  await stack.append('release.created', {
    ...{ ...release, appCompose: '{}', name: 'hello', encryptedEnv: '', ports: [8080] },
    resources: { vcpu: 1, memoryMiB: 512, diskGiB: 1 },
  });
  await stack.append('instance.created', { ...release, instanceId, seed: '3d'.repeat(20) });
  const place = { hostId: 'host-1', instanceId, epoch: 1, address: '127.16.0.5', reason: 'test' };
  await stack.append('instance.placed', place);
  return await SimulatedGuest.boot(stack.simulatorDir, OS_IMAGE, { appId, instanceId, composeHash: COMPOSE });
}

/** Asks until a replica answers, as a host does. */
async function challengeFor({ measured }: SimulatedGuest): Promise<string> {
  for (;;) {
    try {
      const asked = { instanceId: measured.instanceId, epoch: 1 };
      const reply = await busRequest(host, 'kms.challenge.host-1', asked, { timeoutMs: 3_000 });
      return (reply as { challenge: string }).challenge;
    } catch (error) {
      if ((error as { retryable?: unknown }).retryable !== true) throw error;
      await sleep(100);
    }
  }
}

async function submit(guest: SimulatedGuest): Promise<string> {
  const submission = await guest.submission('host-1', 1, await challengeFor(guest));
  return (await stack.append('attestation.submitted', submission, 'host-1')).envelope.id;
}

async function answersTo(requestId: string): Promise<SealedMessage[]> {
  const found = () => sealed.filter((message) => message.requestId === requestId);
  await expect.poll(found, { timeout: PATIENCE_MS, interval: 100 }).not.toHaveLength(0);
  return found();
}

async function opened(guest: SimulatedGuest, message: SealedMessage) {
  const { enc, ciphertext } = message.sealed ?? { enc: '', ciphertext: '' };
  const bytes = { enc: Buffer.from(enc, 'base64'), ciphertext: Buffer.from(ciphertext, 'base64') };
  return decodeGrantPayload(await openPayload(guest.hpke.privateKey, message.requestId, bytes));
}

/** The event a message proves, when the pinned log key signed a checkpoint that covers it. Throws otherwise. */
function proven({ receipt }: SealedMessage) {
  const { origin, publicKey } = stack.logVerifier;
  const { event } = verifyReceipt(receipt, { origin, publicKey });
  return JSON.parse(Buffer.from(event).toString()) as {
    id: string;
    type: string;
    data: EventData<'grant.issued'> & EventData<'grant.denied'>;
  };
}

/** Every message is proven and about the one stored decision; answers the keys, or undefined when the request came too late. */
async function keysFrom(guest: SimulatedGuest, requestId: string): Promise<string | undefined> {
  const messages = await answersTo(requestId);
  const stored = (await stack.store.readSubject(`evt.grant.${guest.measured.instanceId}`)).filter(
    ({ envelope }) => (envelope.data as { requestId?: string }).requestId === requestId,
  );
  expect(stored, `grant events of request ${requestId}`).toHaveLength(1);
  for (const message of messages) {
    expect(proven(message).id).toBe(stored[0]?.envelope.id);
    expect(message.sealed).toEqual(messages[0]?.sealed);
  }
  const [first] = messages;
  if (first?.outcome !== 'issued') {
    // Killed twice in a row, its challenge is over before a replica saw it: the guest asks anew.
    expect(first === undefined ? undefined : proven(first).data.failedCheck).toBe('challenge.fresh');
    return undefined;
  }
  return JSON.stringify(await opened(guest, first));
}

describe('two replicas', () => {
  it(
    `share the work, and kill -9 of either loses nothing, doubles nothing and changes no key (${ROUNDS} rounds)`,
    async () => {
      const guests = [await placed(), await placed()];
      const wanted = new Map<SimulatedGuest, string>();
      for (const guest of guests) wanted.set(guest, (await keysFrom(guest, await submit(guest))) ?? '');
      expect(wanted.get(guests[0] as SimulatedGuest)).toContain('diskCryptKey');
      const asked: { guest: SimulatedGuest; requestId: string }[] = [];
      for (let round = 0; round < ROUNDS; round += 1) {
        const guest = guests[round % guests.length] as SimulatedGuest;
        asked.push({ guest, requestId: await submit(guest) });
        await sleep(randomInt(0, 60));
        const victim = randomInt(0, replicas.length);
        await replicas[victim]?.end('SIGKILL');
        const next = stack.kms();
        replicas[victim] = next;
        await isReady(next);
      }
      let late = 0;
      for (const { guest, requestId } of asked) {
        const keys = (await keysFrom(guest, requestId)) ?? (await keysFrom(guest, await submit(guest)));
        if (keys === undefined) late += 1;
        else expect(keys).toBe(wanted.get(guest));
      }
      expect(late).toBe(0);
      const ids = new Set(asked.map(({ requestId }) => requestId));
      expect(ids.size).toBe(ROUNDS);
    },
    60_000 + ROUNDS * 20_000,
  );

  it('follow a key epoch that an operator activates, taints and revokes, without a restart', async () => {
    const epoch = async (...args: string[]) =>
      JSON.parse(await epochCommand(args, stack.environment(), new Date())) as { epochs: { status: string }[] };
    const guest = await placed();
    const before = JSON.parse((await keysFrom(guest, await submit(guest))) ?? '{}') as Record<string, unknown>;
    await epoch('prepare');
    expect((await epoch('activate', '1')).epochs.map(({ status }) => status)).toEqual(['superseded', 'active']);
    const after = JSON.parse((await keysFrom(guest, await submit(guest))) ?? '{}') as Record<string, unknown>;
    expect(after.diskCryptKey).not.toBe(before.diskCryptKey);
    const { diskCryptKey, envCryptKey } = before;
    expect(after.earlier).toEqual([{ keyEpoch: 0, diskCryptKey, envCryptKey }]);
    await epoch('taint', '1', '--reason', 'drill');
    const [denied] = await answersTo(await submit(guest));
    expect(denied === undefined ? undefined : proven(denied).data.failedCheck).toBe('key-epoch.active');
    await epoch('prepare');
    await epoch('activate', '2');
    await epoch('revoke', '0', '--reason', 'drill');
    const last = JSON.parse((await keysFrom(guest, await submit(guest))) ?? '{}') as {
      earlier?: { keyEpoch: number }[];
    };
    expect(last.earlier?.map(({ keyEpoch }) => keyEpoch)).toEqual([1]);
    await expect(epoch('revoke', '2', '--reason', 'drill')).rejects.toMatchObject({ code: 'key-epoch-active' });
    await expect(epoch('taint', '2')).rejects.toThrow(/--reason/);
  });
});
