import { generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { type AuthoredEvent, authorEvent, type EventAuthor, readEvent, verifyBeforeAppend } from './envelope.js';
import { KeyDirectory } from './key-directory.js';
import { keyIdOf } from './key-id.js';

function keyPair() {
  const pair = generateKeyPairSync('ed25519');
  return { ...pair, raw: pair.publicKey.export({ format: 'jwk' }).x ?? '', keyid: keyIdOf(pair.publicKey) };
}

const api = keyPair();
const host = keyPair();
const directory = directoryOf();

function directoryOf(): KeyDirectory {
  return new KeyDirectory({
    version: 1,
    keys: [
      { service: 'control-api', node: '', publicKey: api.raw },
      { service: 'host-worker', node: 'host-1', publicKey: host.raw },
    ],
    log: { origin: 'vouch.test/log', publicKey: keyPair().raw },
  });
}

function author(keyid = api.keyid, privateKey: KeyObject = api.privateKey): EventAuthor {
  return { service: 'control-api', node: '', keyid, privateKey };
}

const more = { time: new Date('2026-01-01T00:00:00.000Z'), actor: 'test', cause: '', corr: '' };

function registered(by = author(), name = 'app'): AuthoredEvent {
  const data = { appId: '00'.repeat(20), name, owner: 'ann' };
  return authorEvent(by, { id: randomUUID(), type: 'app.registered', data, ...more });
}

describe('verifyBeforeAppend', () => {
  it('takes what this process authored, the first time and after', () => {
    for (let count = 0; count < 3; count += 1) verifyBeforeAppend(registered(), directory);
  });

  it('takes bytes that came from elsewhere, by verifying them in full', () => {
    const { bytes, envelope } = registered();
    verifyBeforeAppend(readEvent(bytes.slice(), envelope.subject), directory);
  });

  it('refuses bytes that were changed after they were signed', () => {
    verifyBeforeAppend(registered(), directory);
    const event = registered(author(), 'original');
    event.bytes.set(Buffer.from('changed!'), Buffer.from(event.bytes).indexOf('original'));
    expect(() => verifyBeforeAppend(event, directory)).toThrow(
      expect.objectContaining({ code: 'event-signature-invalid' }),
    );
  });

  it('refuses another envelope beside the same bytes', () => {
    const [mine, other] = [registered(), registered()];
    verifyBeforeAppend(mine, directory);
    const envelope = { ...mine.envelope, subject: `evt.app.${'11'.repeat(20)}` };
    expect(() => verifyBeforeAppend({ ...mine, envelope } as AuthoredEvent, directory)).toThrow(
      expect.objectContaining({ code: 'event-subject-mismatch' }),
    );
    expect(() => Object.assign(mine, { envelope: other.envelope })).toThrow(TypeError);
    expect(() => Object.assign(mine.envelope, { subject: 'evt.app.x' })).toThrow(TypeError);
  });

  it('refuses a stranger, however often', () => {
    const stranger = keyPair();
    for (let count = 0; count < 2; count += 1) {
      expect(() => verifyBeforeAppend(registered(author(stranger.keyid, stranger.privateKey)), directory)).toThrow(
        expect.objectContaining({ code: 'event-author-unknown' }),
      );
    }
  });

  it("refuses a key that signs under another's key id, also when that key was proven before", () => {
    verifyBeforeAppend(registered(), directory);
    for (let count = 0; count < 2; count += 1) {
      expect(() => verifyBeforeAppend(registered(author(api.keyid, keyPair().privateKey)), directory)).toThrow(
        expect.objectContaining({ code: 'event-signature-invalid' }),
      );
    }
  });

  it('asks every time whether the author may write this event, and every directory for itself', () => {
    const worker: EventAuthor = { service: 'host-worker', node: 'host-1', ...host };
    const removed = (hostId: string) =>
      authorEvent(worker, {
        id: randomUUID(),
        type: 'vm.removed',
        data: { hostId, instanceId: '00'.repeat(20), epoch: 1 },
        ...more,
      });
    verifyBeforeAppend(removed('host-1'), directory);
    expect(() => verifyBeforeAppend(removed('host-2'), directory)).toThrow(
      expect.objectContaining({ code: 'event-author-not-allowed' }),
    );
    const empty = new KeyDirectory({ ...directory.trust, keys: [] });
    expect(() => verifyBeforeAppend(removed('host-1'), empty)).toThrow(
      expect.objectContaining({ code: 'event-author-unknown' }),
    );
  });

  it('an envelope no reader would take is refused when it is made', () => {
    const data = { appId: '00'.repeat(20), name: 'app', owner: 'ann' };
    const make = (change: object) => () =>
      authorEvent(author(), { id: randomUUID(), type: 'app.registered', data, ...more, ...change });
    expect(make({})).not.toThrow();
    for (const change of [{ id: 'one' }, { actor: '' }, { cause: 'x'.repeat(65) }, { corr: 'x'.repeat(65) }]) {
      expect(make(change)).toThrow(expect.objectContaining({ code: 'event-malformed' }));
    }
  });
});
