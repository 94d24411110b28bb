import { beforeEach, describe, expect, it } from 'vitest';
import { type Command, targetOf } from '../command/command.js';
import { decideCommand } from '../command/decide-command.js';
import { instanceIdentityOf, releaseIdOf } from '../command/derived-ids.js';
import type { DomainEvent } from '../decision.js';
import { appId as toAppId } from '../ids.js';
import { advance, type Step } from './advance.js';
import { addressFree, desiredEntryOf } from './desired-guest.js';
import { FleetView } from './fleet-view.js';

const appId = toAppId('a1'.repeat(20));
const start = new Date('2026-01-01T00:00:00.000Z');
const deployId = '22'.repeat(16);
const releaseId = releaseIdOf('11'.repeat(16));
const { instanceId, seed } = instanceIdentityOf(deployId, appId);
const appCompose = '{"manifest_version":2,"name":"hello","runner":"bash","bash_script":"true"}';
const place = { hostId: 'h1', instanceId, epoch: 1 };

const deploy: Command = { type: 'DeployInstance', instanceId, seed, appId, releaseId, hostId: null };

/** A fleet whose process manager runs at once on a clock the test moves: append is fold, a claimed address is fixed. */
class Fleet {
  readonly view = new FleetView();
  readonly heartbeats = new Map<string, Date>();
  now = start;
  story: string[] = [];

  append(...events: DomainEvent[]): void {
    for (const event of events) {
      this.view.apply(event, this.view.position + 1);
      this.story.push(event.type);
    }
  }

  request(operationId: string, command: Command): void {
    const { type, ...input } = command;
    this.append({
      type: 'operation.requested',
      data: {
        operationId,
        command: type,
        input,
        principal: 'ann',
        requestHash: 'ee'.repeat(32),
        target: targetOf(command),
        deadline: new Date(this.now.getTime() + 300_000).toISOString(),
      },
    });
  }

  steps(): Step[] {
    return advance(this.view, this.now, this.heartbeats).flatMap((operation) => operation.steps);
  }

  /** Carries out steps until there are none; every expected sequence must be the true one. */
  settle(): void {
    for (let round = 0; round < 20; round += 1) {
      const steps = this.steps();
      if (steps.length === 0) return;
      for (const step of steps) {
        const event = eventOf(step);
        expect(step.expectedLastSeq).toBe(this.view.lastSeqFor(event));
        this.append(event);
      }
    }
    throw new Error('the process manager does not settle');
  }

  host(hostId: string, memoryMiB: number): void {
    const capacity = { vcpu: 8, memoryMiB };
    this.append({ type: 'host.registered', data: { hostId, driver: 'process', capacity, unsafe: [] } });
    this.heartbeats.set(hostId, this.now);
  }
}

function eventOf(step: Step): DomainEvent {
  if (step.kind === 'append') return step.event;
  const { instanceId, hostId, epoch, reason } = step;
  return { type: 'instance.placed', data: { instanceId, hostId, epoch, reason, address: '127.64.0.9' } };
}

let fleet: Fleet;
const operation = () => fleet.view.operation(deployId);
const healthy: DomainEvent = { type: 'vm.app-healthy', data: { ...place, ports: [80] } };
const grant = (outcome: 'issued' | 'denied', epoch = 1) =>
  ({
    type: `grant.${outcome}`,
    data: { ...place, epoch, failedCheck: 'policy.compose-hash', reason: 'not on the list' },
  }) as unknown as DomainEvent;

beforeEach(() => {
  fleet = new Fleet();
  fleet.append({ type: 'app.registered', data: { appId, name: 'hello', owner: 'ann' } });
  const resources = { vcpu: 2, memoryMiB: 1024, diskGiB: 1 };
  const release: Command = {
    type: 'CreateRelease',
    releaseId,
    appId,
    appCompose,
    resources,
    ports: [80],
    encryptedEnv: '',
  };
  fleet.request('11'.repeat(16), release);
  fleet.settle();
  fleet.story = [];
});

describe('short operations', () => {
  it('append what they decide and end', () => {
    fleet.request('33'.repeat(16), { type: 'RegisterApp', appId: toAppId('a2'.repeat(20)), name: 'x', owner: 'ann' });
    fleet.settle();
    expect(fleet.story).toEqual(['operation.requested', 'app.registered', 'operation.succeeded']);
  });
  it('a release result names the compose hash', () => {
    expect(fleet.view.operation('11'.repeat(16))).toMatchObject({
      status: 'succeeded',
      result: { releaseId, composeHash: expect.stringMatching(/^[0-9a-f]{64}$/) },
    });
  });
  it('end as failed when the world has changed since the request', () => {
    fleet.request('33'.repeat(16), { type: 'RegisterApp', appId, name: 'other', owner: 'bob' });
    fleet.settle();
    expect(fleet.view.operation('33'.repeat(16))).toMatchObject({ status: 'failed', code: 'app-exists' });
  });
  it('a logged command that cannot be read fails, and stops nothing else', () => {
    fleet.request('33'.repeat(16), { type: 'CordonHost', hostId: 'h1' } as never);
    fleet.settle();
    expect(fleet.view.operation('33'.repeat(16))).toMatchObject({ status: 'failed', code: 'command-malformed' });
  });
});

describe('deploy', () => {
  it('creates, places on the host with most room, and succeeds with grant and health', () => {
    fleet.host('h1', 8192);
    fleet.host('h2', 4096);
    fleet.request(deployId, deploy);
    fleet.settle();
    expect(fleet.view.instance(instanceId).state).toMatchObject({ placement: { hostId: 'h1', epoch: 1 } });
    fleet.append(grant('issued'));
    fleet.settle();
    expect(operation().status).toBe('requested');
    fleet.append(healthy);
    fleet.settle();
    expect(operation()).toMatchObject({ status: 'succeeded', result: { instanceId, hostId: 'h1', ports: [80] } });
  });

  it('health without a grant does not succeed: it is only a host’s word', () => {
    fleet.host('h1', 8192);
    fleet.request(deployId, deploy);
    fleet.settle();
    fleet.append(healthy);
    fleet.settle();
    expect(operation().status).toBe('requested');
  });

  it('facts of another epoch or host count for nothing', () => {
    fleet.host('h1', 8192);
    fleet.request(deployId, deploy);
    fleet.settle();
    fleet.append(grant('issued', 2), grant('denied', 2));
    fleet.append({ type: 'vm.app-healthy', data: { ...place, hostId: 'h2', ports: [80] } });
    fleet.settle();
    expect(operation().status).toBe('requested');
  });

  it('waits with the reason until there is room, saying it once', () => {
    fleet.request(deployId, deploy);
    fleet.settle();
    expect(operation()).toMatchObject({ status: 'waiting', reason: expect.stringContaining('no host is registered') });
    expect(fleet.steps()).toEqual([]);
    fleet.host('h1', 8192);
    fleet.settle();
    expect(fleet.story.at(-1)).toBe('instance.placed');
  });

  it('does not use a host whose heartbeat is older than 20 s', () => {
    fleet.host('h1', 8192);
    fleet.now = new Date(start.getTime() + 20_001);
    fleet.request(deployId, deploy);
    fleet.settle();
    expect(operation()).toMatchObject({ status: 'waiting', reason: expect.stringContaining('h1 sends no heartbeat') });
  });

  it('two deployments in one pass do not get the same memory', () => {
    fleet.host('h1', 1500);
    const second = instanceIdentityOf('44'.repeat(16), appId);
    fleet.request(deployId, deploy);
    fleet.request('44'.repeat(16), { ...deploy, ...second });
    fleet.settle();
    expect(fleet.story.filter((type) => type === 'instance.placed')).toHaveLength(1);
    expect(fleet.view.operation('44'.repeat(16)).status).toBe('waiting');
  });

  it('a denial fails it, naming the check, and stops the guest', () => {
    fleet.host('h1', 8192);
    fleet.request(deployId, deploy);
    fleet.settle();
    fleet.append(grant('denied'));
    fleet.settle();
    expect(operation()).toMatchObject({
      status: 'failed',
      code: 'grant-denied',
      reason: 'check policy.compose-hash failed: not on the list',
    });
    expect(desiredEntryOf(fleet.view, instanceId)?.guest.desired).toBe('stopped');
  });

  it('a crash between the stop and the failure keeps the true code', () => {
    fleet.host('h1', 8192);
    fleet.request(deployId, deploy);
    fleet.settle();
    fleet.append(grant('denied'), { type: 'instance.stop-requested', data: { instanceId } });
    fleet.settle();
    expect(operation()).toMatchObject({ status: 'failed', code: 'grant-denied' });
  });

  it('a failed launch fails it; one exit does not, three do', () => {
    fleet.host('h1', 8192);
    fleet.request(deployId, deploy);
    fleet.settle();
    const exited = { ...place, exitCode: 1, reason: 'boom', requested: false };
    fleet.append({ type: 'vm.exited', data: exited }, { type: 'vm.exited', data: exited });
    expect(fleet.steps()).toEqual([]);
    fleet.append({ type: 'vm.exited', data: exited });
    fleet.settle();
    expect(operation()).toMatchObject({ code: 'guest-exited', reason: 'exited 3 times: boom' });
  });

  it('the deadline fails it with the last reason, and takes an unplaced instance away', () => {
    fleet.request(deployId, deploy);
    fleet.settle();
    fleet.now = new Date(start.getTime() + 300_000);
    fleet.settle();
    expect(operation()).toMatchObject({
      code: 'deadline-exceeded',
      reason: expect.stringContaining('no host is registered'),
    });
    expect(addressFree(fleet.view, instanceId)).toBe(true);
  });

  it('what was reached before the deadline counts, even when seen after it', () => {
    fleet.host('h1', 8192);
    fleet.request(deployId, deploy);
    fleet.settle();
    fleet.append(grant('issued'), healthy);
    fleet.now = new Date(start.getTime() + 900_000);
    fleet.settle();
    expect(operation().status).toBe('succeeded');
  });

  it('is superseded by a stop', () => {
    fleet.request(deployId, deploy);
    fleet.settle();
    fleet.request('44'.repeat(16), { type: 'StopInstance', instanceId });
    fleet.settle();
    expect(operation()).toMatchObject({ status: 'failed', code: 'superseded' });
  });

  it.each([
    [{ ...deploy, releaseId: '99'.repeat(16) }, 'release-unknown'],
    [{ ...deploy, hostId: 'nowhere' }, 'host-unknown'],
  ] as const)('%# is refused before anything is written: %s', (command, code) => {
    expect(decideCommand(command, fleet.view)).toMatchObject({ ok: false, refusal: { code } });
  });
});

describe('stop and remove', () => {
  beforeEach(() => {
    fleet.host('h1', 8192);
    fleet.request(deployId, deploy);
    fleet.settle();
    fleet.append({ type: 'vm.launched', data: { ...place, driver: 'process', address: '127.64.0.9', unsafe: [] } });
    fleet.append(grant('issued'), healthy);
    fleet.settle();
  });
  const stopId = '55'.repeat(16);

  it('stop ends with the exit', () => {
    fleet.request(stopId, { type: 'StopInstance', instanceId });
    fleet.settle();
    expect(fleet.view.operation(stopId).status).toBe('requested');
    fleet.append({ type: 'vm.exited', data: { ...place, exitCode: 0, reason: '', requested: true } });
    fleet.settle();
    expect(fleet.view.operation(stopId).status).toBe('succeeded');
    expect(desiredEntryOf(fleet.view, instanceId)?.guest.desired).toBe('stopped');
  });

  it('remove ends with vm.removed; then nothing is desired and the address is free', () => {
    fleet.request(stopId, { type: 'RemoveInstance', instanceId });
    fleet.settle();
    expect(desiredEntryOf(fleet.view, instanceId)?.guest).toMatchObject({ desired: 'removed', epoch: 1, appCompose });
    expect(addressFree(fleet.view, instanceId)).toBe(false);
    fleet.append({ type: 'vm.removed', data: place });
    fleet.settle();
    expect(fleet.view.operation(stopId).status).toBe('succeeded');
    expect(desiredEntryOf(fleet.view, instanceId)).toBeUndefined();
    expect(addressFree(fleet.view, instanceId)).toBe(true);
  });

  it('a silent host makes it wait with the reason', () => {
    fleet.now = new Date(start.getTime() + 60_000);
    fleet.request(stopId, { type: 'StopInstance', instanceId });
    fleet.settle();
    expect(fleet.view.operation(stopId)).toMatchObject({ status: 'waiting', reason: 'host h1 sends no heartbeat' });
  });
});

describe('fleet view', () => {
  it('refuses a gap and a step back', () => {
    const event: DomainEvent = { type: 'host.uncordoned', data: { hostId: 'h1' } };
    expect(() => fleet.view.apply(event, fleet.view.position + 2)).toThrow(RangeError);
    expect(() => fleet.view.apply(event, fleet.view.position)).toThrow(RangeError);
  });
});
