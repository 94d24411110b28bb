import { createPublicKey } from 'node:crypto';
import { decodeGrantPayload, deriveAppKeys, openPayload } from '@vouch/keys';
import { verifyReceipt } from '@vouch/transparency';
import { beforeEach, describe, expect, it } from 'vitest';
import { APP_ID, INSTANCE_ID, OS_IMAGE, TestGuest } from '../testing/guest.js';
import { freshRoot, KmsWorld } from '../testing/kms-world.js';
import { provenReceipt } from './receipt-source.js';
import type { SealedMessage } from './sealed-message.js';

let guest: TestGuest;
let world: KmsWorld;
beforeEach(async () => {
  guest = await TestGuest.make();
  world = new KmsWorld();
});

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const grantEvents = async () => (await world.grants.history(INSTANCE_ID)).events;
const publishedOnce = (): SealedMessage => {
  expect(world.published).toHaveLength(1);
  const [first] = world.published;
  if (first === undefined) throw new Error('nothing was published');
  return first.message;
};

async function opened(message: SealedMessage) {
  const { enc, ciphertext } = message.sealed ?? { enc: '', ciphertext: '' };
  const sealed = { enc: Buffer.from(enc, 'base64'), ciphertext: Buffer.from(ciphertext, 'base64') };
  return decodeGrantPayload(await openPayload(guest.hpke.privateKey, message.requestId, sealed));
}

describe('an honest request', () => {
  it('ends in one grant in the log, its proof, and keys that only the guest can open', async () => {
    const event = await world.submit(guest.submission);
    await world.kms(guest).answer(event);
    const [grant] = await grantEvents();
    expect(grant?.envelope).toMatchObject({
      type: 'grant.issued',
      cause: event.envelope.id,
      actor: 'host-worker/host-1',
      data: { requestId: event.envelope.id, requestSeq: event.seq, keyEpoch: 0, keys: { hpke: guest.claims.hpkeKey } },
    });
    const message = publishedOnce();
    expect(world.published[0]?.subject).toBe(`sealed.host-1.${INSTANCE_ID}`);
    const { origin } = world.authors.trust.log;
    const publicKey = createPublicKey(world.authors.logPrivateKey);
    expect(verifyReceipt(message.receipt, { origin, publicKey }).event).toEqual(grant?.bytes);
    const keys = deriveAppKeys(world.root.keys, Buffer.from(APP_ID, 'hex'), Buffer.from(INSTANCE_ID, 'hex'));
    expect(await opened(message)).toMatchObject({
      diskCryptKey: hex(keys.diskCryptKey),
      k256Key: hex(keys.k256Key),
      k256Signature: hex(keys.k256Signature),
      osImageHash: OS_IMAGE,
      caCert: world.root.rootCaCert,
      keyProvider: { name: 'kms', id: hex(world.root.keys.caSpki) },
    });
    const said = world.log.lines.join('\n') + Buffer.from(grant?.bytes ?? []).toString();
    for (const secret of [keys.diskCryptKey, keys.envCryptKey, keys.k256Key]) expect(said).not.toContain(hex(secret));
  });

  it('records its collateral before the first grant that used it, once', async () => {
    await world.kms(guest).answer(await world.submit(guest.submission));
    await world.kms(guest).answer(await world.submit(guest.submission));
    const recorded = await world.store.readSubject('evt.kms.kms-1');
    expect(recorded.map(({ envelope }) => envelope.type)).toEqual(['kms.collateral-recorded']);
    const grants = await grantEvents();
    expect(grants).toHaveLength(2);
    expect(recorded[0]?.seq).toBeLessThan(grants[0]?.seq ?? 0);
  });
});

describe('a denial', () => {
  it('is logged, proven and delivered like a grant, without a payload', async () => {
    guest.bootPolicy = { ...guest.bootPolicy, isAllowed: false, reason: 'Compose hash not allowed' };
    await world.kms(guest).answer(await world.submit(guest.submission));
    expect(publishedOnce()).toMatchObject({ outcome: 'denied', sealed: null });
    expect((await grantEvents()).map(({ envelope }) => envelope)).toMatchObject([
      { type: 'grant.denied', data: { failedCheck: 'policy.app', reason: 'Compose hash not allowed' } },
    ]);
  });

  it('meets a guest whose key nothing can be sealed to', async () => {
    guest.claims = { ...guest.claims, hpkeKey: `01${'00'.repeat(31)}` };
    guest.quoteClaims();
    await world.kms(guest).answer(await world.submit(guest.submission));
    expect(publishedOnce()).toMatchObject({ outcome: 'denied', sealed: null });
    expect((await grantEvents())[0]?.envelope.data).toMatchObject({ failedCheck: 'claims.bound' });
  });
});

describe('nothing leaves the KMS', () => {
  it('without a receipt; when the auditor is back, the same decision is delivered', async () => {
    const event = await world.submit(guest.submission);
    world.isAuditorAway = true;
    await expect(world.kms(guest).answer(event)).rejects.toMatchObject({
      retryable: true,
      code: 'receipt-unavailable',
    });
    expect(world.published).toEqual([]);
    world.isAuditorAway = false;
    await world.kms(guest).answer(event);
    expect(await grantEvents()).toHaveLength(1);
    await opened(publishedOnce());
  });

  it('while the log is away', async () => {
    const event = await world.submit(guest.submission);
    world.store.setUnavailable(true);
    await expect(world.kms(guest).answer(event)).rejects.toMatchObject({ retryable: true });
    expect(world.published).toEqual([]);
  });

  it('from a root other than the one that decided', async () => {
    const event = await world.submit(guest.submission);
    world.isBusAway = true;
    await expect(world.kms(guest).answer(event)).rejects.toMatchObject({ code: 'delivery-unavailable' });
    world.isBusAway = false;
    await world.kms(guest, freshRoot()).answer(event);
    expect(world.published).toEqual([]);
    expect(world.log.lines.join()).toContain('nothing is released');
  });
});

describe('a crash', () => {
  it('between grant and delivery ends in the same payload, bit by bit, made by a new process', async () => {
    const event = await world.submit(guest.submission);
    world.isBusAway = true;
    await expect(world.kms(guest).answer(event)).rejects.toThrow();
    world.isBusAway = false;
    guest.bootPolicy = { ...guest.bootPolicy, isAllowed: false, reason: 'revoked meanwhile' };
    await world.kms(guest).answer(event);
    await world.kms(guest).answer(event);
    expect(await grantEvents()).toHaveLength(1);
    expect(world.published).toHaveLength(2);
    expect(world.published[0]?.message.sealed).toEqual(world.published[1]?.message.sealed);
  });

  it('that loses the acknowledgement of the append leaves one grant event', async () => {
    const event = await world.submit(guest.submission);
    world.store.dropAcks(1);
    await world
      .kms(guest)
      .answer(event)
      .catch(() => undefined);
    await world.kms(guest).answer(event);
    expect(await grantEvents()).toHaveLength(1);
  });

  it('of one of two replicas that decide at once leaves one grant event', async () => {
    const event = await world.submit(guest.submission);
    const outcomes = await Promise.allSettled([world.kms(guest).answer(event), world.kms(guest).answer(event)]);
    await world.kms(guest).answer(event);
    expect(await grantEvents()).toHaveLength(1);
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ retryable: true });
    }
  });
});

describe('a receipt', () => {
  it('of another event, or signed by another log, is refused', async () => {
    const event = await world.submit(guest.submission);
    await world.submit(guest.submission);
    const { origin } = world.authors.trust.log;
    const verifier = { origin, publicKey: createPublicKey(world.authors.logPrivateKey) };
    const receipt = await world.receiptOf(event.seq);
    expect(provenReceipt(receipt, event.seq, event.bytes, verifier)).toEqual(receipt);
    const other = await world.receiptOf(2);
    expect(() => provenReceipt(other, event.seq, event.bytes, verifier)).toThrow(/another event/);
    const stranger = new KmsWorld();
    const strange = { origin, publicKey: createPublicKey(stranger.authors.logPrivateKey) };
    expect(() => provenReceipt(receipt, event.seq, event.bytes, strange)).toThrow(/signature/);
  });
});
