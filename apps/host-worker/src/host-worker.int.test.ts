import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Kvm } from '@nats-io/kv';
import { composeHashOf, type DesiredGuest } from '@vouch/domain';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WorkerBench } from './testing/worker-bench.js';

const SLOW = { timeout: 30_000, interval: 50 };
let bench: WorkerBench;

beforeAll(async () => {
  bench = await WorkerBench.open();
  await bench.startWorker();
});

afterAll(async () => {
  await bench.close();
});

const typesOf = (guest: DesiredGuest) => expect.poll(() => bench.types(guest), SLOW);
const runningOf = (guest: DesiredGuest) => expect.poll(() => bench.processes(guest).length, SLOW);

async function launched(guest: DesiredGuest): Promise<void> {
  await bench.wish(guest);
  await typesOf(guest).toContain('vm.launched');
  await expect.poll(async () => (await bench.notes(guest)).some(({ app }) => app !== undefined), SLOW).toBe(true);
}

async function ended(guest: DesiredGuest): Promise<void> {
  await bench.withdraw(guest);
  await expect
    .poll(
      () =>
        stat(bench.folder(guest)).then(
          () => true,
          () => false,
        ),
      SLOW,
    )
    .toBe(false);
}

describe('a guest', () => {
  test('gets its shared files, its trust domain and a process of its own; stop and removal end all of it', async () => {
    const guest = bench.guest({}, { encryptedEnv: 'c0ffee' });
    await launched(guest);
    const shared = join(bench.folder(guest), 'shared');
    expect(await readFile(join(shared, 'app-compose.json'), 'utf8')).toBe(guest.appCompose);
    expect(JSON.parse(await readFile(join(shared, '.instance_info'), 'utf8'))).toEqual({
      instance_id_seed: guest.seed,
      instance_id: guest.instanceId,
      app_id: guest.appId,
    });
    expect(await readFile(join(shared, '.encrypted-env'), 'hex')).toBe('c0ffee');
    const sysConfig = JSON.parse(await readFile(join(shared, '.sys-config.json'), 'utf8')) as Record<string, never>;
    expect(sysConfig).toMatchObject({
      kms_urls: [],
      vouch: { hostId: 'host-1', epoch: 1, ports: [8080], trust: bench.authors.trust },
    });
    const domain = bench.simulator.domains.get(guest.instanceId);
    expect(domain).toMatchObject({
      vmConfig: sysConfig.vm_config,
      mrConfigId: `01${composeHashOf(Buffer.from(guest.appCompose))}${'00'.repeat(15)}`,
    });
    const [event] = await bench.events(guest);
    expect(event?.envelope.data).toMatchObject({
      epoch: 1,
      driver: 'process',
      unsafe: expect.arrayContaining(['unsafeProcessGuest']),
    });

    await bench.wish({ ...guest, desired: 'stopped' });
    await typesOf(guest).toEqual(['vm.launched', 'vm.exited']);
    const [, exited] = await bench.events(guest);
    expect(exited?.envelope.data).toMatchObject({ requested: true, exitCode: 0 });
    expect(bench.processes(guest)).toEqual([]);

    await bench.wish({ ...guest, desired: 'removed' });
    await typesOf(guest).toEqual(['vm.launched', 'vm.exited', 'vm.removed']);
    expect(bench.simulator.domains.has(guest.instanceId)).toBe(false);
    await ended(guest);
    await expect.poll(() => readdir(join(bench.dataDir, 'journal')), SLOW).toEqual([]);
  });

  test('that does not end by itself is killed, its app too', async () => {
    const guest = bench.guest({ stubborn: true });
    await launched(guest);
    await bench.wish({ ...guest, desired: 'stopped' });
    await typesOf(guest).toEqual(['vm.launched', 'vm.exited']);
    expect(bench.processes(guest)).toEqual([]);
    await ended(guest);
  });

  test('that ends without its app does not leave it behind', async () => {
    const guest = bench.guest({ leavesApp: true });
    await launched(guest);
    await bench.wish({ ...guest, desired: 'stopped' });
    await typesOf(guest).toEqual(['vm.launched', 'vm.exited']);
    expect(bench.processes(guest)).toEqual([]);
    await ended(guest);
  });

  test('that crashes is started again, and its last crash is no reason to forget it', async () => {
    const guest = bench.guest({ exit: 1 });
    await bench.wish(guest);
    await typesOf(guest).toEqual(['vm.launched', 'vm.exited', 'vm.launched', 'vm.exited', 'vm.launched', 'vm.exited']);
    await ended(guest);
  });

  test('whose grant was denied is not started again', async () => {
    const guest = bench.guest({ exit: 3 });
    await bench.wish(guest);
    await typesOf(guest).toEqual(['vm.launched', 'vm.exited']);
    expect((await bench.events(guest))[1]?.envelope.data).toMatchObject({
      exitCode: 3,
      requested: false,
      reason: 'the KMS denied the grant',
    });
    await ended(guest);
    await typesOf(guest).toEqual(['vm.launched', 'vm.exited', 'vm.removed']);
  });

  test('stopped before it was ever launched is reported as not running', async () => {
    const guest = bench.guest({}, { desired: 'stopped' });
    await bench.wish(guest);
    await typesOf(guest).toEqual(['vm.exited']);
    await ended(guest);
  });

  test('of an older placement epoch is ended before the newer one starts', async () => {
    const guest = bench.guest();
    await launched(guest);
    const [first] = bench.processes(guest);
    await bench.wish({ ...guest, epoch: 2 });
    await typesOf(guest).toEqual(['vm.launched', 'vm.exited', 'vm.removed', 'vm.launched']);
    const epochs = (await bench.events(guest)).map(({ envelope }) => (envelope.data as { epoch: number }).epoch);
    expect(epochs).toEqual([1, 1, 1, 2]);
    expect(bench.processes(guest)).not.toContain(first);
    await bench.wish({ ...guest, epoch: 1, desired: 'stopped' });
    const heartbeat = await new Kvm(bench.control).open('hosts', { allow_direct: true });
    await expect
      .poll(async () => (await heartbeat.get('host-1'))?.json(), SLOW)
      .toMatchObject({ hostId: 'host-1', guests: 1 });
    expect(bench.processes(guest).length).toBeGreaterThan(0);
    await ended(guest);
  });

  test('with an unusable desired entry is not touched', async () => {
    const guest = bench.guest();
    await launched(guest);
    const pids = bench.processes(guest);
    await bench.wish({ ...guest, desired: 'stopped', composeHash: '0'.repeat(64) });
    await expect.poll(() => bench.lines.some(({ msg }) => msg === 'a desired guest is unusable'), SLOW).toBe(true);
    expect(bench.processes(guest)).toEqual(pids);
    await ended(guest);
  });

  test('waits for a simulator that is away', async () => {
    await bench.simulator.stop();
    const guest = bench.guest();
    await bench.wish(guest);
    await expect
      .poll(
        () =>
          bench.lines.some(
            ({ msg, instanceId }) => msg === 'a guest could not be launched' && instanceId === guest.instanceId,
          ),
        SLOW,
      )
      .toBe(true);
    await bench.simulator.start();
    await typesOf(guest).toEqual(['vm.launched']);
    await ended(guest);
  });
});

describe('a worker that is killed', () => {
  test('finds its guests again: same process, no second launch, and still hears of their end', async () => {
    const guest = bench.guest({ calls: [{ path: '/progress', body: { step: 'booted', detail: '' } }] });
    await launched(guest);
    await typesOf(guest).toEqual(['vm.launched', 'vm.boot-progressed']);
    const before = bench.processes(guest);
    await bench.endWorker('SIGKILL');
    expect(bench.processes(guest)).toEqual(before);
    await bench.startWorker();
    await expect
      .poll(() => bench.lines.some(({ msg }) => msg === 'taking up the guests of this host'), SLOW)
      .toBe(true);
    expect(bench.processes(guest)).toEqual(before);
    const [agent] = (await bench.notes(guest)).filter(({ started }) => started !== undefined);
    process.kill(Number(agent?.pid), 'SIGKILL');
    await typesOf(guest).toEqual([
      'vm.launched',
      'vm.boot-progressed',
      'vm.exited',
      'vm.launched',
      'vm.boot-progressed',
    ]);
    await ended(guest);
  });

  test('learns the exit code of a guest that ended while no worker ran', async () => {
    const guest = bench.guest();
    await launched(guest);
    await bench.endWorker('SIGKILL');
    const [agent] = (await bench.notes(guest)).filter(({ started }) => started !== undefined);
    process.kill(Number(agent?.pid), 'SIGTERM');
    await runningOf(guest).toBe(0);
    await bench.startWorker();
    await typesOf(guest).toEqual(['vm.launched', 'vm.exited', 'vm.launched']);
    expect((await bench.events(guest))[1]?.envelope.data).toMatchObject({ exitCode: 0, requested: false });
    await ended(guest);
  });

  test('at any moment of a launch leads to one guest and one vm.launched', async () => {
    for (const afterMs of [0, 10, 25, 40, 60, 90, 130, 200]) {
      const guest = bench.guest();
      await bench.wish(guest);
      await new Promise((resolve) => setTimeout(resolve, afterMs));
      await bench.endWorker('SIGKILL');
      await bench.startWorker();
      await typesOf(guest).toEqual(['vm.launched']);
      await expect.poll(async () => (await bench.notes(guest)).length, SLOW).toBeGreaterThan(0);
      const starts = new Set(
        (await bench.notes(guest)).flatMap(({ started }) => (started === undefined ? [] : [started])),
      );
      expect(starts.size).toBe(1);
      const agents = (await bench.notes(guest)).filter(({ started }) => started !== undefined);
      expect(agents.filter(({ pid }) => bench.processes(guest).includes(Number(pid)))).toHaveLength(1);
      await ended(guest);
    }
  });

  test('ends a guest that was withdrawn while no worker ran', async () => {
    const guest = bench.guest();
    await launched(guest);
    await bench.endWorker('SIGKILL');
    await bench.withdraw(guest);
    await bench.startWorker();
    await typesOf(guest).toEqual(['vm.launched', 'vm.exited', 'vm.removed']);
    expect(bench.processes(guest)).toEqual([]);
  });
});

describe('a worker that is asked to end', () => {
  test('leaves its guests running', async () => {
    const guest = bench.guest();
    await launched(guest);
    const before = bench.processes(guest);
    expect(await bench.endWorker('SIGTERM')).toBe(0);
    expect(bench.processes(guest)).toEqual(before);
    await bench.startWorker();
    await ended(guest);
  });

  test('stops them with HOST_STOP_GUESTS_ON_EXIT=1, and the next worker starts them again', async () => {
    await bench.endWorker('SIGTERM');
    await bench.startWorker({ HOST_STOP_GUESTS_ON_EXIT: '1' });
    const guest = bench.guest();
    await launched(guest);
    expect(await bench.endWorker('SIGTERM')).toBe(0);
    expect(bench.processes(guest)).toEqual([]);
    expect((await bench.events(guest)).at(-1)?.envelope).toMatchObject({
      type: 'vm.exited',
      data: { requested: true },
    });
    await bench.startWorker();
    await typesOf(guest).toEqual(['vm.launched', 'vm.exited', 'vm.launched']);
    await ended(guest);
  });

  test('a second worker on the same folder is refused', async () => {
    const other = bench.startWorker().catch((error: Error) => error.message);
    expect(await other).toMatch(/ended with 78: .*another host worker works in/);
  });
});
