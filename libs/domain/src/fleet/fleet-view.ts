import { type AppState, evolveApp, initialApp } from '../app/app-decider.js';
import type { DomainEvent } from '../decision.js';
import { subjectOf } from '../envelope.js';
import type { EventType } from '../event-catalog.js';
import { evolveHost, type HostState, initialHost } from '../host/host-decider.js';
import { evolveInstance, type InstanceState, initialInstance } from '../instance/instance-decider.js';
import { evolveOperation, initialOperation, type OperationState } from '../operation/operation-decider.js';
import { evolveRelease, initialRelease, type ReleaseState } from '../release/release-decider.js';
import { evolveFacts, type GuestFactEvent, type GuestFacts, noFacts } from './guest-facts.js';

export interface InstanceView {
  readonly state: InstanceState;
  readonly facts: GuestFacts;
}

const absentInstance: InstanceView = { state: initialInstance, facts: noFacts };

/** What one event changed, so that a reactor need not look at the rest. */
export interface FleetChange {
  readonly instanceId?: string;
  readonly operationId?: string;
}

/**
 * The fleet as the log tells it: a fold over all events from sequence 1, in order, and nothing else. The map entries are
 * immutable values; only the maps grow, so a view belongs to the one fold that feeds it. `position` is the stream
 * sequence of the last event folded in.
 */
export class FleetView {
  readonly #apps = new Map<string, AppState>();
  readonly #releases = new Map<string, ReleaseState>();
  readonly #hosts = new Map<string, HostState>();
  readonly #instances = new Map<string, InstanceView>();
  readonly #operations = new Map<string, OperationState>();
  readonly #unfinished = new Set<string>();
  readonly #lastSeq = new Map<string, number>();
  #position = 0;

  get position(): number {
    return this.#position;
  }

  app(appId: string): AppState {
    return this.#apps.get(appId) ?? initialApp;
  }
  release(releaseId: string): ReleaseState {
    return this.#releases.get(releaseId) ?? initialRelease;
  }
  host(hostId: string): HostState {
    return this.#hosts.get(hostId) ?? initialHost;
  }
  instance(instanceId: string): InstanceView {
    return this.#instances.get(instanceId) ?? absentInstance;
  }
  operation(operationId: string): OperationState {
    return this.#operations.get(operationId) ?? initialOperation;
  }
  hosts(): IterableIterator<HostState> {
    return this.#hosts.values();
  }
  instances(): IterableIterator<InstanceView> {
    return this.#instances.values();
  }
  /** Operations neither succeeded nor failed, in the order they were requested. */
  *unfinished(): IterableIterator<Extract<OperationState, { operationId: string }>> {
    for (const id of this.#unfinished) {
      const operation = this.operation(id);
      if (operation.status !== 'absent') yield operation;
    }
  }

  /** Stream sequence of the last event under the subject an event would go to; 0 when there is none. */
  lastSeqFor<T extends EventType>(event: DomainEvent<T>): number {
    return this.#lastSeq.get(subjectOf(event.type, event.data as never)) ?? 0;
  }

  /**
   * Folds in the event at `seq`. Throws RangeError unless `seq` is the one after `position`, and TypeError for a history
   * that the deciders cannot have written; the view must not be used after either.
   */
  apply(event: DomainEvent, seq: number): FleetChange {
    if (seq !== this.#position + 1) {
      throw new RangeError(`event ${seq} cannot follow event ${this.#position}`);
    }
    const change = this.#fold(event);
    const subject = subjectOf(event.type, event.data as never);
    if (WRITTEN_KINDS.has(subject.split('.')[1] ?? '')) this.#lastSeq.set(subject, seq);
    this.#position = seq;
    return change;
  }

  #fold(event: DomainEvent): FleetChange {
    switch (event.type) {
      case 'app.registered':
        this.#apps.set(event.data.appId, evolveApp(this.app(event.data.appId), event));
        return {};
      case 'release.created':
        this.#releases.set(event.data.releaseId, evolveRelease(this.release(event.data.releaseId), event));
        return {};
      case 'host.registered':
      case 'host.cordoned':
      case 'host.uncordoned':
        this.#hosts.set(event.data.hostId, evolveHost(this.host(event.data.hostId), event));
        return {};
      case 'instance.created':
      case 'instance.placed':
      case 'instance.stop-requested':
      case 'instance.remove-requested':
        return this.#foldInstance(event);
      case 'operation.requested':
      case 'operation.waiting':
      case 'operation.succeeded':
      case 'operation.failed':
        return this.#foldOperation(event);
      case 'vm.launched':
      case 'vm.boot-progressed':
      case 'vm.app-healthy':
      case 'vm.launch-failed':
      case 'vm.exited':
      case 'vm.removed':
      case 'grant.issued':
      case 'grant.denied':
        return this.#foldFact(event);
      case 'attestation.submitted':
      case 'kms.bootstrapped':
      case 'kms.collateral-recorded':
      case 'kms.key-epoch-prepared':
      case 'kms.key-epoch-activated':
      case 'kms.key-epoch-tainted':
      case 'kms.key-epoch-revoked':
      case 'certificate.issued':
      case 'policy.changed':
      case 'policy.change-orphaned':
      case 'dstack.app-keys-released':
      case 'dstack.root-keys-released':
      case 'dstack.certificate-signed':
      case 'dstack.release-refused':
      case 'gateway.node-joined':
        return {};
      default:
        return event satisfies never;
    }
  }

  #foldInstance(
    event: DomainEvent<
      'instance.created' | 'instance.placed' | 'instance.stop-requested' | 'instance.remove-requested'
    >,
  ): FleetChange {
    const { instanceId } = event.data;
    const before = this.instance(instanceId);
    const state = evolveInstance(before.state, event);
    this.#instances.set(instanceId, { state, facts: event.type === 'instance.placed' ? noFacts : before.facts });
    return { instanceId };
  }

  #foldOperation(
    event: DomainEvent<'operation.requested' | 'operation.waiting' | 'operation.succeeded' | 'operation.failed'>,
  ): FleetChange {
    const { operationId } = event.data;
    const next = evolveOperation(this.operation(operationId), event);
    const finished = next.status === 'succeeded' || next.status === 'failed';
    if (finished) this.#unfinished.delete(operationId);
    else this.#unfinished.add(operationId);
    // A finished operation is kept for its idempotency key; its input (up to 128 KiB of app-compose) is not.
    this.#operations.set(operationId, finished ? { ...next, input: {} } : next);
    return { operationId };
  }

  #foldFact(event: GuestFactEvent): FleetChange {
    const { instanceId, hostId, epoch } = event.data;
    const before = this.instance(instanceId);
    if (before.state.status === 'absent') return {};
    const { placement } = before.state;
    if (placement?.hostId !== hostId || placement.epoch !== epoch) return {};
    this.#instances.set(instanceId, { ...before, facts: evolveFacts(before.facts, event) });
    return { instanceId };
  }
}

/** Kinds the control plane appends to, so that their subjects' last sequences are needed. */
const WRITTEN_KINDS: ReadonlySet<string> = new Set(['app', 'release', 'host', 'instance', 'operation']);
