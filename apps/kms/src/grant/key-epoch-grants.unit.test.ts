import { decodeGrantPayload, deriveAppKeys, openPayload, type RootKeys, verifyEndorsement } from '@vouch/keys';
import { beforeEach, describe, expect, it } from 'vitest';
import { changeKeyEpoch } from '../root/key-epoch-commands.js';
import type { KeyEpochCommand } from '../root/key-epochs.js';
import { APP_ID, INSTANCE_ID, TestGuest } from '../testing/guest.js';
import { freshRoot, KmsWorld } from '../testing/kms-world.js';
import type { SealedMessage } from './sealed-message.js';

const reason = 'the backup safe stood open';
let world: KmsWorld;
let guest: TestGuest;

beforeEach(async () => {
  world = new KmsWorld();
  guest = await TestGuest.make();
  guest.keyEpochs = async () => (await world.epochs.read()).epochs;
});

function change(command: KeyEpochCommand) {
  const { epochs, writer, keyring, laterRoots } = world;
  return changeKeyEpoch(command, {
    epochs,
    writer,
    actor: 'operator:test',
    rootOf: async (keyEpoch, how) => {
      if (how === 'create' && !laterRoots.has(keyEpoch)) laterRoots.set(keyEpoch, freshRoot(keyEpoch));
      return await keyring.root(keyEpoch);
    },
  });
}

async function rotate(): Promise<RootKeys> {
  await change({ type: 'PrepareKeyEpoch' });
  await change({ type: 'ActivateKeyEpoch', keyEpoch: 1 });
  return (await world.keyring.root(1)).keys;
}

async function ask(): Promise<SealedMessage | undefined> {
  const before = world.published.length;
  await world.kms(guest).answer(await world.submit(guest.submission));
  return world.published[before]?.message;
}

async function opened(message: SealedMessage | undefined) {
  const { enc, ciphertext } = message?.sealed ?? { enc: '', ciphertext: '' };
  const sealed = { enc: Buffer.from(enc, 'base64'), ciphertext: Buffer.from(ciphertext, 'base64') };
  return decodeGrantPayload(await openPayload(guest.hpke.privateKey, message?.requestId ?? '', sealed));
}

function keysOf(root: RootKeys) {
  const { diskCryptKey, envCryptKey, k256Key } = deriveAppKeys(
    root,
    Buffer.from(APP_ID, 'hex'),
    Buffer.from(INSTANCE_ID, 'hex'),
  );
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
  return { diskCryptKey: hex(diskCryptKey), envCryptKey: hex(envCryptKey), k256Key: hex(k256Key) };
}

const lastGrant = async () => (await world.grants.history(INSTANCE_ID)).events.at(-1)?.envelope;

describe('after a rotation', () => {
  it('a grant names the new epoch, carries its keys, and the earlier ones to open old data', async () => {
    const before = await opened(await ask());
    expect(before).toMatchObject(keysOf(world.root.keys));
    expect(before.earlier).toBeUndefined();
    const next = await rotate();
    const message = await ask();
    expect(await lastGrant()).toMatchObject({ type: 'grant.issued', data: { keyEpoch: 1, earlierKeyEpochs: [0] } });
    const { diskCryptKey, envCryptKey } = keysOf(world.root.keys);
    const payload = await opened(message);
    expect(payload).toMatchObject({ ...keysOf(next), earlier: [{ keyEpoch: 0, diskCryptKey, envCryptKey }] });
    expect(payload.keyProvider.id).toBe(Buffer.from(next.caSpki).toString('hex'));
    expect(message?.kms.rootCaSpki).toBe(payload.keyProvider.id);
    const kms = message?.kms ?? { eventKey: '', endorsement: '' };
    const eventKey = Buffer.from(kms.eventKey, 'hex');
    const endorsement = Buffer.from(kms.endorsement, 'base64');
    expect(verifyEndorsement({ rootCaSpki: next.caSpki, eventKey, endorsement })).toBe(true);
  });

  it('a replica without the new root file decides nothing until it has it', async () => {
    await rotate();
    const roots = new Map(world.laterRoots);
    world.laterRoots.clear();
    const event = await world.submit(guest.submission);
    const blind = world.kms(guest);
    await expect(blind.answer(event)).rejects.toMatchObject({ code: 'key-epoch-missing', retryable: true });
    expect(await lastGrant()).toBeUndefined();
    for (const [keyEpoch, root] of roots) world.laterRoots.set(keyEpoch, root);
    await blind.answer(event);
    expect(world.published).toHaveLength(1);
  });
});

describe('a tainted epoch', () => {
  it('gives no new grants: without another epoch the request is denied with the reason', async () => {
    await change({ type: 'TaintKeyEpoch', keyEpoch: 0, reason });
    expect((await ask())?.outcome).toBe('denied');
    const denial = await lastGrant();
    expect(denial).toMatchObject({ type: 'grant.denied', data: { failedCheck: 'key-epoch.active' } });
    expect(JSON.stringify(denial)).toContain(reason);
    await rotate();
    expect(await opened(await ask())).toMatchObject({ earlier: [{ keyEpoch: 0 }] });
  });

  it('withholds a grant that was appended after the taint', async () => {
    guest.keyEpochs = async () => {
      const { epochs } = await world.epochs.read();
      await change({ type: 'TaintKeyEpoch', keyEpoch: 0, reason });
      return epochs;
    };
    expect(await ask()).toBeUndefined();
    expect(await lastGrant()).toMatchObject({ type: 'grant.issued' });
    expect(world.log.lines.join()).toContain('withheld');
  });

  it('still delivers what was granted before it', async () => {
    const event = await world.submit(guest.submission);
    world.isBusAway = true;
    await expect(world.kms(guest).answer(event)).rejects.toThrow();
    world.isBusAway = false;
    await change({ type: 'TaintKeyEpoch', keyEpoch: 0, reason });
    await world.kms(guest).answer(event);
    expect(world.published[0]?.message.outcome).toBe('issued');
  });
});

describe('a revoked epoch', () => {
  it('gives nothing: not what was granted, not for opening old data', async () => {
    const event = await world.submit(guest.submission);
    world.isBusAway = true;
    await expect(world.kms(guest).answer(event)).rejects.toThrow();
    world.isBusAway = false;
    await rotate();
    await change({ type: 'RevokeKeyEpoch', keyEpoch: 0, reason });
    await world.kms(guest).answer(event);
    expect(world.published).toEqual([]);
    const payload = await opened(await ask());
    expect(payload.earlier).toBeUndefined();
    expect(JSON.stringify(payload)).not.toContain(keysOf(world.root.keys).diskCryptKey);
  });
});

describe('commands on epochs', () => {
  it('asked for by two operators at once end in one event', async () => {
    await Promise.all([change({ type: 'PrepareKeyEpoch' }), change({ type: 'PrepareKeyEpoch' })]);
    const events = await world.store.readSubject('evt.kms.kms-1');
    expect(events.map(({ envelope }) => envelope.type)).toEqual(['kms.key-epoch-prepared']);
    await expect(change({ type: 'RevokeKeyEpoch', keyEpoch: 0, reason })).rejects.toMatchObject({
      code: 'key-epoch-active',
    });
  });

  it('never activate an epoch whose root is not here', async () => {
    await change({ type: 'PrepareKeyEpoch' });
    world.laterRoots.clear();
    const elsewhere = world.keyringOf(world.root);
    const parts = { epochs: world.epochs, writer: world.writer, actor: 'operator:test' };
    const rootOf = (keyEpoch: number) => elsewhere.root(keyEpoch);
    await expect(changeKeyEpoch({ type: 'ActivateKeyEpoch', keyEpoch: 1 }, { ...parts, rootOf })).rejects.toMatchObject(
      { code: 'key-epoch-missing' },
    );
  });
});
