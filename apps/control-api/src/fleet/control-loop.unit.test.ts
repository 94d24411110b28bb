import { type AppId, type Command, desiredGuestSchema, instanceIdentityOf, releaseIdOf } from '@vouch/domain';
import { strangerAuthor } from '@vouch/testkit';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { MemoryPlane, MemoryWorld } from '../testing/memory-plane.js';

const appId = 'a1'.repeat(20) as AppId;
const appCompose = '{"manifest_version":2,"name":"hello","runner":"bash","bash_script":"true"}';
const capacity = { vcpu: 8, memoryMiB: 8192 };
const host = { type: 'RegisterHost', hostId: 'host-1', driver: 'process', capacity, unsafe: [] } satisfies Command;
const release = (operationId: string): Command => ({
  type: 'CreateRelease',
  releaseId: releaseIdOf(operationId),
  appId,
  appCompose,
  resources: { vcpu: 1, memoryMiB: 1024, diskGiB: 1 },
  ports: [80],
  encryptedEnv: '',
});

let world: MemoryWorld;
let plane: MemoryPlane;
const planes: MemoryPlane[] = [];

async function newPlane(): Promise<MemoryPlane> {
  const made = new MemoryPlane(world);
  planes.push(made);
  return await made.live();
}

beforeEach(async () => {
  world = new MemoryWorld();
  plane = await newPlane();
});
afterEach(async () => {
  await Promise.all(planes.splice(0).map((one) => one.runner.stop()));
});

/** An app, a release and a live host; returns the release id. */
async function prepare(): Promise<string> {
  await plane.submit({ type: 'RegisterApp', appId, name: 'hello', owner: 'ann' });
  const { operation } = await plane.submit(release);
  await plane.submit(host);
  await world.hosts.put('host-1', '{}');
  return operation.target;
}

const deployOf =
  (releaseId: string) =>
  (operationId: string): Command => ({
    type: 'DeployInstance',
    ...instanceIdentityOf(operationId, appId),
    appId,
    releaseId,
    hostId: null,
  });

async function types(): Promise<string[]> {
  const found: string[] = [];
  for await (const event of world.store.read({ fromSeq: 1, follow: false })) found.push(event.envelope.type);
  return found;
}

describe('short commands', () => {
  it('have ended when they are answered', async () => {
    const { operation, seq } = await plane.submit({ type: 'RegisterApp', appId, name: 'hello', owner: 'ann' });
    expect(operation.status).toBe('succeeded');
    expect(seq).toBe(3);
    expect(await types()).toEqual(['operation.requested', 'app.registered', 'operation.succeeded']);
  });

  it('a refused command writes nothing', async () => {
    await expect(plane.submit(release)).rejects.toMatchObject({ status: 404, code: 'app-unknown' });
    expect(await types()).toEqual([]);
  });
});

describe('idempotency key', () => {
  const register: Command = { type: 'RegisterApp', appId, name: 'hello', owner: 'ann' };

  it('with the same request answers the same operation', async () => {
    const first = await plane.submit(register, { key: 'k1' });
    const second = await plane.submit(register, { key: 'k1' });
    expect(second.operation.operationId).toBe(first.operation.operationId);
    expect([first.replayed, second.replayed]).toEqual([false, true]);
    expect(await types()).toHaveLength(3);
  });

  it('with another request is refused and writes nothing', async () => {
    await plane.submit(register, { key: 'k1' });
    const other = plane.submit({ ...register, name: 'bank' }, { key: 'k1', body: { name: 'bank' } });
    await expect(other).rejects.toMatchObject({ status: 409, code: 'idempotency-key-reused' });
    expect(await types()).toHaveLength(3);
  });

  it('of another principal is another key', async () => {
    const first = await plane.submit(register, { key: 'k1' });
    const second = await plane.submit(host, { key: 'k1', name: 'bob' });
    expect(second.operation.operationId).not.toBe(first.operation.operationId);
  });

  it('raced by two different requests lets exactly one win', async () => {
    const twin = await newPlane();
    const outcomes = await Promise.allSettled([
      plane.submit(register, { key: 'k1', body: 1 }),
      twin.submit(host, { key: 'k1', body: 2 }),
    ]);
    expect(outcomes.map((outcome) => outcome.status).sort()).toEqual(['fulfilled', 'rejected']);
    expect((await types()).filter((type) => type === 'operation.requested')).toHaveLength(1);
  });

  it('raced by the same request gives both the one operation', async () => {
    const twin = await newPlane();
    const [a, b] = await Promise.all([plane.submit(register, { key: 'k1' }), twin.submit(register, { key: 'k1' })]);
    expect(a.operation.operationId).toBe(b.operation.operationId);
    expect((await types()).filter((type) => type === 'operation.requested')).toHaveLength(1);
  });
});

describe('deploy', () => {
  it('places, claims an address and says what the host should run', async () => {
    const releaseId = await prepare();
    const { operation } = await plane.submit(deployOf(releaseId));
    await plane.until(() => world.desired.entries.has(`host-1.${operation.target}`));
    const guest = desiredGuestSchema.parse(
      JSON.parse(world.desired.entries.get(`host-1.${operation.target}`) ?? 'null'),
    );
    expect(guest).toMatchObject({ desired: 'running', epoch: 1, appCompose, ports: [80] });
    expect(world.addresses.entries.get(guest.address)).toBe(operation.target);
  });

  it('goes on in the next life after each step at which the process can die', async () => {
    const releaseId = await prepare();
    const before = await types();
    world.addresses.unavailable = true;
    const { operation } = await plane.submit(deployOf(releaseId), { key: 'deploy' });
    await plane.until(() => plane.view.instance(operation.target).state.status === 'created');
    await plane.runner.stop();
    world.addresses.unavailable = false;
    world.desired.unavailable = true;
    plane = await newPlane();
    const { replayed } = await plane.submit(deployOf(releaseId), { key: 'deploy' });
    expect(replayed).toBe(true);
    await plane.until(() => placed(operation.target));
    await plane.runner.stop();
    world.desired.unavailable = false;
    plane = await newPlane();
    await vi.waitFor(() => expect(world.desired.entries.size).toBe(1));
    expect((await types()).slice(before.length)).toEqual([
      'operation.requested',
      'instance.created',
      'instance.placed',
    ]);
    expect(world.addresses.entries.size).toBe(1);
  });

  it('two control planes at once append each step once', async () => {
    const releaseId = await prepare();
    const twin = await newPlane();
    const targets: string[] = [];
    for (const one of [plane, twin, plane, twin])
      targets.push((await one.submit(deployOf(releaseId))).operation.target);
    await plane.until(() => targets.every(placed));
    await vi.waitFor(() => expect(world.desired.entries.size).toBe(4));
    expect((await types()).filter((type) => type.startsWith('instance.'))).toHaveLength(8);
    expect(world.addresses.entries.size).toBe(4);
  });

  it('a lost answer of the store neither repeats nor fails a step', async () => {
    const releaseId = await prepare();
    world.store.dropAcks(3);
    const { operation } = await plane.submit(deployOf(releaseId));
    await plane.until(() => placed(operation.target));
    expect((await types()).filter((type) => type === 'instance.placed')).toHaveLength(1);
  });

  it('buckets that were dropped are written again', async () => {
    const releaseId = await prepare();
    const { operation } = await plane.submit(deployOf(releaseId));
    await plane.until(() => world.desired.entries.size === 1);
    world.desired.drop();
    await vi.waitFor(async () => {
      await plane.runner.reconcile();
      expect(world.desired.entries.has(`host-1.${operation.target}`)).toBe(true);
    });
  });

  it('a removed guest leaves no entry and no address behind', async () => {
    const releaseId = await prepare();
    const { operation } = await plane.submit(deployOf(releaseId));
    const instanceId = operation.target;
    await plane.until(() => world.desired.entries.size === 1);
    const removal = await plane.submit({ type: 'RemoveInstance', instanceId });
    await vi.waitFor(() => expect([...world.desired.entries.values()][0]).toContain('"desired":"removed"'));
    await world.append('vm.removed', { hostId: 'host-1', instanceId, epoch: 1 }, 'host-1');
    await plane.until(() => plane.view.operation(removal.operation.operationId).status === 'succeeded');
    await vi.waitFor(() => {
      expect(world.desired.entries.size).toBe(0);
      expect(world.addresses.entries.size).toBe(0);
    });
  });

  it('settles: nothing is written while nothing changes', async () => {
    const releaseId = await prepare();
    await plane.submit(deployOf(releaseId));
    await plane.until(() => world.desired.entries.size === 1);
    await plane.runner.reconcile();
    const before = [await world.store.lastSeq(), world.desired.writes, world.addresses.writes];
    await world.hosts.put('host-1', '{}');
    await plane.runner.reconcile();
    expect([await world.store.lastSeq(), world.desired.writes, world.addresses.writes]).toEqual(before);
  });
});

describe('a log that cannot be trusted', () => {
  it('a forged event stops every command', async () => {
    const forged = { hostId: 'host-1', driver: 'process' as const, capacity, unsafe: [] };
    world.forge(strangerAuthor('control-api'), 'host.registered', forged);
    await plane.until(() => plane.feed.state.state === 'broken');
    await expect(plane.submit(host)).rejects.toMatchObject({ status: 503, code: 'log-damaged', retryable: false });
    expect(plane.view.host('host-1').status).toBe('absent');
  });

  it('a hole stops every command of a new life', async () => {
    await plane.submit({ type: 'RegisterApp', appId, name: 'hello', owner: 'ann' });
    await plane.runner.stop();
    world.store.damageDrop(2);
    plane = await newPlane();
    expect(plane.feed.state).toMatchObject({ state: 'broken', position: 1 });
    await expect(plane.submit(host)).rejects.toMatchObject({ status: 503, code: 'log-damaged' });
  });

  it('an unreachable log makes commands wait and then retryable', async () => {
    const stopped = new MemoryPlane(world);
    planes.push(stopped);
    await expect(stopped.submit(host)).rejects.toMatchObject({ status: 503, code: 'not-caught-up', retryable: true });
  });
});

function placed(instanceId: string): boolean {
  const { state } = plane.view.instance(instanceId);
  return state.status === 'created' && state.placement !== null;
}
