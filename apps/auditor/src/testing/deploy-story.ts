import { createHash } from 'node:crypto';
import type { AuthoredEvent } from '@vouch/domain';
import type { EventStore } from '@vouch/eventstore';
import type { TestAuthors } from '@vouch/testkit';
import { SIMULATED_QUOTE } from './simulated-quote.js';

const hex = (text: string, bytes: number) =>
  createHash('sha512')
    .update(text)
    .digest('hex')
    .slice(0, bytes * 2);

export const HOST = 'host-1';

/** Ids of the `n`-th deploy of a story. */
export function deployIds(n: number) {
  return {
    appId: hex(`app ${n}`, 20),
    releaseId: hex(`release ${n}`, 16),
    instanceId: hex(`instance ${n}`, 20),
    operationId: hex(`operation ${n}`, 16),
    composeHash: hex(`compose ${n}`, 32),
  };
}

/** The events of one deploy, from the request to a healthy app, each by its rightful author. */
export function deployStory(authors: TestAuthors, n: number): AuthoredEvent[] {
  const { appId, releaseId, instanceId, operationId, composeHash } = deployIds(n);
  const api = authors.of('control-api');
  const worker = authors.of('host-worker', HOST);
  const at = { hostId: HOST, instanceId, epoch: 1 };
  const corr = { corr: operationId, actor: 'operator:ann' };
  const address = '127.64.0.9';
  const request = authors.event(worker, 'attestation.submitted', {
    ...at,
    evidence: { quote: SIMULATED_QUOTE, eventLog: '[]', vmConfig: '{}' },
    claims: {
      version: 1,
      challenge: hex(`challenge ${n}`, 32),
      hostId: HOST,
      appId,
      instanceId,
      epoch: 1,
      hpkeKey: hex('hpke', 32),
      wireguardKey: hex('wireguard', 32),
      tlsKey: '30'.repeat(91),
    },
  });
  return [
    authors.event(api, 'app.registered', { appId, name: `app ${n}`, owner: 'ann' }, corr),
    authors.event(
      api,
      'release.created',
      {
        releaseId,
        appId,
        composeHash,
        appCompose: `{"name":"app ${n}"}`,
        name: `app ${n}`,
        resources: { vcpu: 1, memoryMiB: 512, diskGiB: 1 },
        encryptedEnv: '',
        ports: [8080, 9090],
      },
      corr,
    ),
    authors.event(
      api,
      'operation.requested',
      {
        operationId,
        command: 'DeployInstance',
        input: { instanceId },
        principal: 'ann',
        requestHash: hex('request', 32),
        target: instanceId,
        deadline: '2026-01-01T00:05:00.000Z',
      },
      corr,
    ),
    authors.event(api, 'instance.created', { instanceId, appId, releaseId, composeHash, seed: hex('seed', 20) }, corr),
    authors.event(api, 'instance.placed', { ...at, address, reason: 'most room' }, corr),
    authors.event(worker, 'vm.launched', { ...at, driver: 'process', address, unsafe: ['unsafeProcessGuest'] }),
    request,
    authors.event(authors.of('kms'), 'grant.issued', grantOf(n, request.envelope.id)),
    authors.event(worker, 'vm.app-healthy', { ...at, ports: [8080] }),
    authors.event(api, 'operation.succeeded', { operationId, result: { instanceId } }, corr),
  ];
}

function grantOf(n: number, requestId: string) {
  const { appId, instanceId, composeHash } = deployIds(n);
  return {
    requestId,
    requestSeq: 10 * n - 3,
    hostId: HOST,
    instanceId,
    epoch: 1,
    appId,
    composeHash,
    checks: [{ name: 'quote.signature', outcome: 'pass' as const, detail: 'valid' }],
    collateralDigest: null,
    policy: {
      chainId: 31337,
      contract: hex('contract', 20),
      block: 7,
      blockHash: hex('block', 32),
      blockTime: '2026-01-01T00:00:00.000Z',
    },
    unsafe: ['unsafeTrustAnchor'],
    keyEpoch: 0,
    osImageHash: hex('image', 32),
    mrAggregated: hex('mr', 32),
    deviceId: hex('device', 32),
    tcbStatus: 'UpToDate',
    advisoryIds: [],
    keys: { hpke: hex('hpke', 32), wireguard: hex('wireguard', 32), tls: '30'.repeat(91) },
    address: '127.64.0.9',
    ports: [8080],
    gatewayAppId: '',
    payloadHash: hex('payload', 32),
  };
}

/** Appends events, each after the last of its subject. */
export async function appendAll(store: EventStore, events: readonly AuthoredEvent[]): Promise<void> {
  for (const event of events) {
    const last = await store.lastOf(event.envelope.subject);
    const outcome = await store.append(event, last?.seq ?? 0);
    if (!outcome.ok) throw new Error(`append of ${event.envelope.type} met a conflict`);
  }
}
