import { describe, expect, it } from 'vitest';
import type { EventEnvelope } from '../envelope.js';
import { type EventData, type EventType, eventCatalog } from '../event-catalog.js';
import { MemoryTables } from './memory-tables.js';
import { projectEvent } from './project-event.js';
import { MAX_STEPS } from './step-changes.js';
import { storable } from './storable.js';

const APP = 'a1'.repeat(20);
const RELEASE = 'b2'.repeat(16);
const INSTANCE = 'c3'.repeat(20);
const OPERATION = 'd4'.repeat(16);
const HASH = 'e5'.repeat(32);
const AT = { hostId: 'host-a', instanceId: INSTANCE, epoch: 1 };

/** Feeds events to projections in order; times are a second apart from a fixed start. */
class Story {
  readonly tables = new MemoryTables();
  #seq = 0;

  tell<T extends EventType>(type: T, data: EventData<T>, corr = ''): this {
    this.#seq += 1;
    const envelope = {
      specversion: '1.0',
      id: `00000000-0000-4000-8000-${this.#seq.toString().padStart(12, '0')}`,
      source: `vouch/${eventCatalog[type].writer}`,
      type,
      subject: `evt.${type}`,
      time: new Date(Date.UTC(2026, 0, 1) + this.#seq * 1000).toISOString(),
      datacontenttype: 'application/json',
      actor: 'operator:ann',
      cause: '',
      corr,
      schemav: 1,
      keyid: `ed25519:${'0'.repeat(32)}`,
      sig: 'A'.repeat(86),
      data,
    } as unknown as EventEnvelope;
    this.tables.apply(projectEvent({ seq: this.#seq, envelope }));
    return this;
  }

  deployRequested(): this {
    return this.tell('operation.requested', {
      operationId: OPERATION,
      command: 'DeployInstance',
      input: {},
      principal: 'ann',
      requestHash: HASH,
      target: INSTANCE,
      deadline: '2026-01-01T00:05:00.000Z',
    })
      .tell(
        'instance.created',
        { instanceId: INSTANCE, appId: APP, releaseId: RELEASE, composeHash: HASH, seed: 'f6'.repeat(20) },
        OPERATION,
      )
      .tell('instance.placed', { ...AT, address: '127.64.0.1', reason: 'most room' }, OPERATION);
  }

  healthy(): this {
    return this.deployRequested()
      .launched()
      .attested()
      .granted()
      .tell('vm.app-healthy', { ...AT, ports: [8080] });
  }

  launched(at = AT): this {
    return this.tell('vm.launched', { ...at, driver: 'process', address: '127.64.0.1', unsafe: ['unsafeProcess'] });
  }

  attested(at = AT): this {
    return this.tell('attestation.submitted', { ...at } as unknown as EventData<'attestation.submitted'>);
  }

  granted(at = AT, requestId = '11111111-1111-4111-8111-111111111111'): this {
    return this.tell('grant.issued', {
      ...decision(at, requestId),
      composeHash: HASH,
      ports: [8080],
    } as unknown as EventData<'grant.issued'>);
  }

  denied(at = AT, requestId = '22222222-2222-4222-8222-222222222222'): this {
    return this.tell('grant.denied', {
      ...decision(at, requestId),
      composeHash: null,
      failedCheck: 'policy',
      reason: 'compose hash is not allowed',
    } as unknown as EventData<'grant.denied'>);
  }

  get instance() {
    return this.tables.rows('instance')[0];
  }

  get operation() {
    return this.tables.rows('operation')[0];
  }
}

function decision(at: typeof AT, requestId: string) {
  const checks = [
    { name: 'quote', outcome: 'pass', detail: '' },
    { name: 'webhook', outcome: 'skipped', detail: 'not configured' },
  ];
  return { ...at, requestId, requestSeq: 5, appId: APP, checks, collateralDigest: null, policy: null, unsafe: [] };
}

describe('catalog rows', () => {
  it('registers apps, releases and hosts, and keeps the first of two', () => {
    const { tables } = new Story()
      .tell('app.registered', { appId: APP, name: 'hello', owner: 'ann' })
      .tell('app.registered', { appId: APP, name: 'other', owner: 'bob' })
      .tell('release.created', {
        releaseId: RELEASE,
        appId: APP,
        composeHash: HASH,
        appCompose: '{}',
        name: 'hello',
        resources: { vcpu: 1, memoryMiB: 512, diskGiB: 1 },
        encryptedEnv: '',
        ports: [8080],
      })
      .tell('host.registered', {
        hostId: 'host-a',
        driver: 'process',
        capacity: { vcpu: 4, memoryMiB: 8192 },
        unsafe: ['unsafeProcess'],
      })
      .tell('host.cordoned', { hostId: 'host-a', reason: 'kernel update' });
    expect(tables.rows('app')).toEqual([
      { app_id: APP, name: 'hello', owner: 'ann', registered_at: '2026-01-01T00:00:01.000Z', seq: 1 },
    ]);
    expect(tables.rows('release')[0]).toMatchObject({ app_compose: '{}', ports: [8080], seq: 3 });
    expect(tables.rows('host')[0]).toMatchObject({ vcpu: 4, cordoned: true, cordon_reason: 'kernel update', seq: 5 });
  });

  it('uncordons', () => {
    const story = new Story()
      .tell('host.registered', {
        hostId: 'host-a',
        driver: 'qemu',
        capacity: { vcpu: 4, memoryMiB: 8192 },
        unsafe: [],
      })
      .tell('host.cordoned', { hostId: 'host-a', reason: 'x' })
      .tell('host.uncordoned', { hostId: 'host-a' });
    expect(story.tables.rows('host')[0]).toMatchObject({ cordoned: false, cordon_reason: '', seq: 3 });
  });
});

describe('instance state machine', () => {
  it('walks from created to healthy', () => {
    const story = new Story();
    const states: (string | undefined)[] = [];
    const see = () => states.push(story.instance?.state);
    story.deployRequested();
    see();
    story.launched();
    see();
    story.attested();
    see();
    story.granted();
    see();
    story.tell('vm.app-healthy', { ...AT, ports: [8080] });
    see();
    expect(states).toEqual(['placed', 'launching', 'attesting', 'granted', 'healthy']);
    expect(story.instance).toMatchObject({ epoch: 1, host_id: 'host-a', ports: [8080], desired: 'running' });
  });

  it('is not healthy without a grant, whatever the host says', () => {
    const story = new Story()
      .deployRequested()
      .launched()
      .tell('vm.app-healthy', { ...AT, ports: [1] });
    expect(story.instance?.state).toBe('launching');
  });

  it('says why keys were denied, and an exit after it does not hide that', () => {
    const story = new Story().deployRequested().launched().attested().denied();
    story.tell('vm.exited', { ...AT, exitCode: 1, reason: '', requested: false });
    expect(story.instance).toMatchObject({ state: 'denied', reason: 'policy: compose hash is not allowed' });
  });

  it('fails when the guest exits unasked, and launches again', () => {
    const story = new Story().healthy().tell('vm.exited', { ...AT, exitCode: 137, reason: 'lost', requested: false });
    expect(story.instance).toMatchObject({ state: 'failed', reason: 'lost (exit code 137)' });
    expect(story.launched().instance).toMatchObject({ state: 'launching', reason: '' });
  });

  it('fails when the launch fails', () => {
    const story = new Story().deployRequested().tell('vm.launch-failed', { ...AT, code: 'no-disk', reason: 'full' });
    expect(story.instance).toMatchObject({ state: 'failed', reason: 'no-disk: full' });
  });

  it('stops and is removed', () => {
    const story = new Story().healthy().tell('instance.stop-requested', { instanceId: INSTANCE });
    expect(story.instance).toMatchObject({ state: 'stopping', desired: 'stopped' });
    story.tell('vm.exited', { ...AT, exitCode: 0, reason: '', requested: true });
    expect(story.instance?.state).toBe('stopped');
    story.tell('instance.remove-requested', { instanceId: INSTANCE });
    expect(story.instance).toMatchObject({ state: 'stopping', desired: 'removed' });
    story.tell('vm.removed', AT);
    expect(story.instance?.state).toBe('removed');
  });

  it('keeps saying that it was denied or failed, and why, when it is stopped after that', () => {
    const exit = { ...AT, exitCode: 1, reason: '', requested: false };
    const stop = { instanceId: INSTANCE };
    const failed = new Story().healthy().tell('vm.exited', exit).tell('instance.stop-requested', stop);
    expect(failed.instance).toMatchObject({ state: 'failed', desired: 'stopped', running: false });
    const denied = new Story().deployRequested().launched().attested().denied().tell('instance.stop-requested', stop);
    expect(denied.instance).toMatchObject({ state: 'denied', desired: 'stopped', running: true });
    const reason = 'policy: compose hash is not allowed';
    expect(denied.tell('vm.exited', exit).instance).toMatchObject({ state: 'denied', reason, running: false });
  });

  it('is stopped only when its running guest has ended', () => {
    const exit = { ...AT, exitCode: 0, reason: '', requested: true };
    const story = new Story().healthy().tell('instance.stop-requested', { instanceId: INSTANCE });
    expect(story.instance).toMatchObject({ state: 'stopping', running: true });
    expect(story.tell('vm.exited', exit).instance).toMatchObject({ state: 'stopped', running: false });
  });

  it('does not come back to life while it is being stopped', () => {
    const story = new Story().deployRequested().tell('instance.stop-requested', { instanceId: INSTANCE });
    expect(story.launched().attested().granted().instance?.state).toBe('stopping');
  });

  it('stops and removes at once what was never placed', () => {
    const created = { instanceId: INSTANCE, appId: APP, releaseId: RELEASE, composeHash: HASH, seed: 'f6'.repeat(20) };
    const stopped = new Story().tell('instance.created', created);
    expect(stopped.tell('instance.stop-requested', { instanceId: INSTANCE }).instance?.state).toBe('stopped');
    expect(stopped.tell('instance.remove-requested', { instanceId: INSTANCE }).instance?.state).toBe('removed');
  });

  it.each([
    ['another host', { ...AT, hostId: 'host-b' }],
    ['another epoch', { ...AT, epoch: 2 }],
    ['another instance', { ...AT, instanceId: 'ff'.repeat(20) }],
  ])('ignores what %s says', (_, at) => {
    const story = new Story().healthy();
    const before = story.instance;
    const steps = story.operation?.steps.length;
    story
      .tell('vm.exited', { ...at, exitCode: 1, reason: 'lie', requested: false })
      .launched(at)
      .denied(at);
    story.tell('vm.boot-progressed', { ...at, step: 'lie', detail: '' }).tell('vm.removed', at);
    expect(story.instance).toEqual(before);
    expect(story.operation?.steps.length).toBe(steps);
  });
});

describe('operation rows', () => {
  it('collects the steps of a deploy, from the request to the end', () => {
    const story = new Story().healthy().tell('operation.succeeded', { operationId: OPERATION, result: { ok: true } });
    expect(story.operation?.steps.map((step) => `${step.seq} ${step.time.slice(17, 19)} ${step.summary}`)).toEqual([
      '1 01 DeployInstance requested by ann',
      '2 02 instance created',
      '3 03 placed on host-a, epoch 1: most room',
      '4 04 guest launched (process)',
      '5 05 evidence submitted',
      '6 06 keys granted: 1 checks passed, 1 skipped',
      '7 07 app healthy on 8080',
      '8 08 succeeded',
    ]);
    expect(story.operation).toMatchObject({
      state: 'succeeded',
      result: { ok: true },
      finished_at: '2026-01-01T00:00:08.000Z',
      seq: 8,
    });
  });

  it('waits with a reason and fails with a code, once', () => {
    const story = new Story()
      .deployRequested()
      .tell('operation.waiting', { operationId: OPERATION, reason: 'no host has room' });
    expect(story.operation).toMatchObject({ state: 'waiting', reason: 'no host has room' });
    story.tell('operation.failed', { operationId: OPERATION, code: 'deadline', reason: 'too late' });
    story.tell('operation.succeeded', { operationId: OPERATION, result: {} });
    expect(story.operation).toMatchObject({ state: 'failed', code: 'deadline', reason: 'too late' });
    expect(story.launched().operation?.steps.at(-1)?.type).toBe('operation.failed');
  });

  it('stops growing at the limit', () => {
    const story = new Story().deployRequested();
    for (let i = 0; i < MAX_STEPS + 5; i += 1) story.tell('vm.boot-progressed', { ...AT, step: 'loop', detail: '' });
    expect(story.operation?.steps.length).toBe(MAX_STEPS);
  });
});

describe('grants', () => {
  it('keeps one row per request: the first decision', () => {
    const story = new Story().deployRequested().attested().denied(AT, '33333333-3333-4333-8333-333333333333');
    story.granted(AT, '33333333-3333-4333-8333-333333333333');
    expect(story.tables.rows('key_grant')).toHaveLength(1);
    expect(story.tables.rows('key_grant')[0]).toMatchObject({
      outcome: 'denied',
      failed_check: 'policy',
      grant_seq: 5,
      epoch: 1,
    });
  });
});

describe('policy changes', () => {
  const contract = { chainId: 31337, contract: 'd5'.repeat(20), app: APP };
  const changed = {
    ...{ ...contract, value: HASH, enabled: true, block: 7, blockHash: 'b1'.repeat(32) },
    name: 'compose-hash',
    ...{ blockTime: '2026-01-01T00:00:00.000Z', transaction: '7a'.repeat(32), logIndex: 3 },
  } as const;

  it('have a row each, which a reorganisation marks and never removes', () => {
    const story = new Story().tell('policy.changed', changed).tell('policy.changed', { ...changed, logIndex: 4 });
    const [first] = story.tables.rows('policy_change');
    expect(first).toMatchObject({ app_id: APP, name: 'compose-hash', value: HASH, enabled: true, orphaned: false });
    const changeId = first?.change_id ?? '';
    const { block, blockHash } = changed;
    story.tell('policy.change-orphaned', { ...contract, changeId, block, blockHash, canonicalHash: HASH });
    expect(story.tables.rows('policy_change').map(({ orphaned, seq }) => [orphaned, seq])).toEqual([
      [true, 3],
      [false, 2],
    ]);
  });
});

describe('storable', () => {
  it('replaces what a database cannot hold, everywhere', () => {
    expect(storable({ 'a\0': ['x\0y', { b: '\ud800!' }], n: 1, z: null })).toEqual({
      'a\ufffd': ['x\ufffdy', { b: '\ufffd!' }],
      n: 1,
      z: null,
    });
  });

  it('leaves ordinary text alone, emoji included', () => {
    expect(storable('grüße 🦊')).toBe('grüße 🦊');
  });
});
