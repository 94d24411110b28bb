import { randomUUID } from 'node:crypto';
import { jetstream } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { type AuthoredEvent, authorEvent, type EventAuthor, type EventData, type EventType } from '@vouch/domain';
import type { TestAuthors } from '@vouch/testkit';

const HOST = 'host-1';
/** Publishes in flight at once; the order of one connection is the order of the stream. */
const WINDOW = 256;

/** The events of one deploy as a fleet writes them, without evidence: ten, by two authors. */
function deployOf(authors: TestAuthors, n: number): AuthoredEvent[] {
  const hex = (kind: number, bytes: number) => (kind * 2 ** 40 + n).toString(16).padStart(bytes * 2, '0');
  const [appId, instanceId, operationId, releaseId] = [hex(1, 20), hex(2, 20), hex(3, 16), hex(4, 16)];
  const composeHash = hex(5, 32);
  const make = <T extends EventType>(author: EventAuthor, type: T, data: EventData<T>) =>
    authorEvent(author, {
      ...{ id: randomUUID(), type, data, time: new Date(), actor: 'operator:bench', cause: '', corr: operationId },
    }) as AuthoredEvent;
  const api = authors.of('control-api');
  const worker = authors.of('host-worker', HOST);
  const at = { hostId: HOST, instanceId, epoch: 1 };
  const address = '127.64.0.9';
  return [
    make(api, 'app.registered', { appId, name: `app ${n}`, owner: 'bench' }),
    make(api, 'operation.requested', {
      ...{
        operationId,
        command: 'DeployInstance',
        input: { instanceId },
        principal: 'bench',
        requestHash: composeHash,
      },
      ...{ target: instanceId, deadline: '2027-01-01T00:00:00.000Z' },
    }),
    make(api, 'instance.created', { instanceId, appId, releaseId, composeHash, seed: appId }),
    make(api, 'instance.placed', { ...at, address, reason: 'most room' }),
    make(worker, 'vm.launched', { ...at, driver: 'process', address, unsafe: [] }),
    make(worker, 'vm.boot-progressed', { ...at, step: 'image', detail: 'fetched' }),
    make(worker, 'vm.boot-progressed', { ...at, step: 'compose', detail: 'started' }),
    make(worker, 'vm.app-healthy', { ...at, ports: [8080] }),
    make(api, 'operation.succeeded', { operationId, result: { instanceId } }),
    make(worker, 'vm.exited', { ...at, exitCode: 0, reason: 'stopped', requested: true }),
  ];
}

/** Writes `count` events of made-up deploys into the stream, as fast as the server takes them. */
export async function fillLog(
  connections: { readonly api: NatsConnection; readonly worker: NatsConnection },
  authors: TestAuthors,
  count: number,
  say: (line: string) => void,
): Promise<void> {
  const clients = { 'control-api': jetstream(connections.api), 'host-worker': jetstream(connections.worker) };
  let batch: Promise<unknown>[] = [];
  for (let n = 0, written = 0; written < count; n += 1) {
    for (const { envelope, bytes } of deployOf(authors, n).slice(0, count - written)) {
      const client = envelope.source.startsWith('vouch/host-worker') ? clients['host-worker'] : clients['control-api'];
      batch.push(client.publish(envelope.subject, bytes, { timeout: 30_000 }));
      written += 1;
    }
    if (batch.length < WINDOW) continue;
    await Promise.all(batch);
    batch = [];
    if (n % 1_000 < WINDOW / 10) say(`written ${written} of ${count} events`);
  }
  await Promise.all(batch);
}
