import { beforeEach, describe, expect, it } from 'vitest';
import { APP_ID, COMPOSE_HASH, INSTANCE_ID, NOW, RELEASE_ID } from '../testing/guest.js';
import { KmsWorld } from '../testing/kms-world.js';
import { MemoryChallengeTable } from '../testing/memory-challenge-table.js';
import { ChallengeBook } from './challenge-book.js';
import { ChallengeIssuer } from './challenge-issuer.js';
import { HostRateLimit } from './host-rate-limit.js';

let world: KmsWorld;
let issuer: ChallengeIssuer;

beforeEach(async () => {
  world = new KmsWorld();
  const limit = new HostRateLimit({ burst: 5, perSecond: 1, monotonicMs: () => 0 });
  issuer = new ChallengeIssuer(new ChallengeBook(new MemoryChallengeTable(), () => NOW), world.store, limit);
  const author = world.authors.of('control-api');
  const instanceId = INSTANCE_ID;
  const data = { instanceId, appId: APP_ID, releaseId: RELEASE_ID, composeHash: COMPOSE_HASH, seed: '3d'.repeat(20) };
  await world.store.append(world.authors.event(author, 'instance.created', data), 0);
  const placed = { hostId: 'host-1', instanceId, epoch: 1, address: '127.16.0.5', reason: 'test' };
  await world.store.append(world.authors.event(author, 'instance.placed', placed), 1);
});

const ask = (hostId: string, request: unknown) => issuer.issue(hostId, request);

describe('a challenge', () => {
  it('is given to the host of the placement in force', async () => {
    expect((await ask('host-1', { instanceId: INSTANCE_ID, epoch: 1 })).challenge).toMatch(/^[0-9a-f]{64}$/);
  });

  it.each([
    ['another host', 'host-2', { instanceId: INSTANCE_ID, epoch: 1 }, 'not-placed-here'],
    ['another epoch', 'host-1', { instanceId: INSTANCE_ID, epoch: 2 }, 'not-placed-here'],
    ['an unknown instance', 'host-1', { instanceId: 'ff'.repeat(20), epoch: 1 }, 'not-placed-here'],
    ['a request without form', 'host-1', { instanceId: '>', epoch: 1 }, 'bad-request'],
    ['no request', 'host-1', null, 'bad-request'],
  ])('is refused for %s', async (_, hostId, request, code) => {
    await expect(ask(hostId, request)).rejects.toMatchObject({ code, retryable: false });
  });

  it('is refused for an instance that was asked to stop', async () => {
    const author = world.authors.of('control-api');
    const event = world.authors.event(author, 'instance.stop-requested', { instanceId: INSTANCE_ID });
    await world.store.append(event, 2);
    await expect(ask('host-1', { instanceId: INSTANCE_ID, epoch: 1 })).rejects.toMatchObject({
      code: 'not-placed-here',
    });
  });

  it('is refused to a host that asks too often, refusals counted, and to no other', async () => {
    for (let n = 0; n < 5; n += 1) await ask('host-1', null).catch(() => undefined);
    await expect(ask('host-1', { instanceId: INSTANCE_ID, epoch: 1 })).rejects.toMatchObject({
      code: 'rate-limited',
      retryable: true,
    });
    await expect(ask('host-2', { instanceId: INSTANCE_ID, epoch: 1 })).rejects.toMatchObject({
      code: 'not-placed-here',
    });
  });
});
