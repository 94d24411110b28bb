import { eventCatalog, HOST_ID, type Service } from '@vouch/domain';
import { type BucketName, bucketStream, CONSUMERS, type DurableName, STREAM_NAMES } from './bus-definition.js';
import { type BusUser, inboxPrefix } from './bus-user.js';

/** Subjects a NATS user may publish and subscribe; everything else is refused, `deny` wins over `allow`. */
export interface NatsPermissions {
  readonly publish: { readonly allow: string[]; readonly deny?: string[] };
  readonly subscribe: { readonly allow: string[] };
}

interface Rights {
  readonly publish: string[];
  readonly deny: string[];
  readonly subscribe: string[];
}

/** Kinds reserved for a service before the catalog has an event of them. */
const RESERVED_KINDS: Partial<Record<Service, readonly string[]>> = { kms: ['policy'] };

/**
 * The rights of one bus user: the writer table of the event catalog as NATS subjects, plus what its reads need from the
 * JetStream API. Host workers and gateways are bound to their own id in every subject they write.
 *
 * What this cannot express: subjects only, not headers or bodies, and a JetStream server sends its answers to whatever
 * reply or delivery subject the asker names. So permissions say who may publish; the author's signature says who did.
 */
export function natsPermissions(user: BusUser): NatsPermissions {
  const rights = user.service === 'migration' ? migrationRights() : serviceRights(user.service, user.node);
  rights.subscribe.push(`${inboxPrefix(user)}.>`);
  return {
    publish: { allow: rights.publish, ...(rights.deny.length === 0 ? {} : { deny: rights.deny }) },
    subscribe: { allow: rights.subscribe },
  };
}

/** Stream administration and nothing else: it writes no event and answers nobody. */
function migrationRights(): Rights {
  return { publish: ['$JS.API.>'], deny: [], subscribe: [] };
}

function serviceRights(service: Service, node: string): Rights {
  // A node id becomes part of the subjects: a dot or a wildcard in it would widen them.
  if (perNodeServices.has(service) ? !HOST_ID.test(node) : node !== '') {
    throw new TypeError(`bus user ${service}: ${JSON.stringify(node)} is not the node id this service takes`);
  }
  const rights: Rights = { publish: ['$JS.API.INFO', ...eventSubjects(service, node)], deny: [], subscribe: [] };
  addServiceRights[service](rights, node);
  return rights;
}

const perNodeServices: ReadonlySet<Service> = new Set(['host-worker', 'gateway']);

/** `evt.<kind>.>` of every kind the service writes; `evt.<kind>.<node>` and below when the kind is bound to the writer. */
function eventSubjects(service: Service, node: string): string[] {
  const subjects = new Set((RESERVED_KINDS[service] ?? []).map((kind) => `evt.${kind}.>`));
  for (const definition of Object.values(eventCatalog)) {
    if (definition.writer !== service) continue;
    if (!definition.perNode) subjects.add(`evt.${definition.kind}.>`);
    else if (service === 'gateway')
      subjects.add(`evt.${definition.kind}.${node}`).add(`evt.${definition.kind}.${node}.>`);
    else subjects.add(`evt.${definition.kind}.${node}.>`);
  }
  return [...subjects];
}

const addServiceRights: Record<Service, (rights: Rights, node: string) => void> = {
  'control-api': (rights) => {
    readLog(rights, 'control-api');
    rights.publish.push('$KV.desired.>', '$KV.addresses.>');
    for (const bucket of ['desired', 'addresses', 'hosts', 'gateways'] as const) readBucket(rights, bucket, '>');
    readStream(rights, STREAM_NAMES.logs, '>');
    readStream(rights, STREAM_NAMES.advisory, '>');
    rights.subscribe.push('logs.>');
  },
  'host-worker': (rights, node) => {
    readOwnSubjects(rights, ['evt.vm', 'evt.attestation'], node);
    rights.publish.push(`logs.${node}.>`, `$KV.hosts.${node}`, `kms.challenge.${node}`, `kms.certificate.${node}`);
    readBucket(rights, 'desired', `${node}.>`);
    readStream(rights, STREAM_NAMES.sealed, `sealed.${node}.>`);
    rights.subscribe.push(`sealed.${node}.>`);
  },
  kms: (rights) => {
    readLog(rights, 'kms');
    useDurable(rights, 'kms-attestation');
    rights.publish.push('sealed.>', '$KV.challenges.>', 'audit.receipt', '_INBOX.host-worker.>');
    readBucket(rights, 'challenges', '>');
    rights.subscribe.push('kms.challenge.*', 'kms.certificate.*');
  },
  gateway: (rights, node) => {
    readLog(rights, 'gateway');
    rights.publish.push(`$KV.gateways.${node}`);
    readBucket(rights, 'gateways', '>');
  },
  auditor: (rights) => {
    readLog(rights, 'auditor');
    rights.publish.push('_INBOX.kms.>');
    rights.subscribe.push('audit.receipt');
  },
};

/**
 * The whole log: single messages from the leader and short-lived consumers under names of the reader's choice. Named
 * durables are carved out, so that no reader can take another service's deliveries or change its consumer.
 */
function readLog(rights: Rights, service: Service): void {
  const stream = STREAM_NAMES.events;
  rights.publish.push(
    `$JS.API.STREAM.INFO.${stream}`,
    `$JS.API.STREAM.MSG.GET.${stream}`,
    `$JS.API.CONSUMER.CREATE.${stream}.>`,
    `$JS.API.CONSUMER.INFO.${stream}.*`,
    `$JS.API.CONSUMER.MSG.NEXT.${stream}.*`,
  );
  denyDurables(rights, service);
}

/** Only the worker's own subjects: consumers whose filter, part of the API subject, lies below them. */
function readOwnSubjects(rights: Rights, prefixes: readonly string[], node: string): void {
  const stream = STREAM_NAMES.events;
  rights.publish.push(`$JS.API.STREAM.INFO.${stream}`);
  for (const prefix of prefixes) rights.publish.push(`$JS.API.CONSUMER.CREATE.${stream}.*.${prefix}.${node}.>`);
  denyDurables(rights, 'host-worker');
}

function denyDurables(rights: Rights, service: Service): void {
  for (const [name, { stream, service: owner }] of Object.entries(CONSUMERS)) {
    rights.deny.push(`$JS.API.CONSUMER.CREATE.${stream}.${name}`, `$JS.API.CONSUMER.CREATE.${stream}.${name}.>`);
    if (owner === service) continue;
    rights.deny.push(`$JS.API.CONSUMER.INFO.${stream}.${name}`, `$JS.API.CONSUMER.MSG.NEXT.${stream}.${name}`);
  }
}

/** Fetch from and acknowledge on one durable. Acknowledgements have two subject forms (eventing §1). */
function useDurable(rights: Rights, name: DurableName): void {
  const { stream } = CONSUMERS[name];
  rights.publish.push(
    `$JS.API.CONSUMER.INFO.${stream}.${name}`,
    `$JS.API.CONSUMER.MSG.NEXT.${stream}.${name}`,
    `$JS.ACK.${stream}.${name}.>`,
    `$JS.ACK.*.*.${stream}.${name}.>`,
  );
}

/** Values and watches of a bucket, held to `keys` (a key pattern). Direct gets and consumer filters name the subject. */
function readBucket(rights: Rights, bucket: BucketName, keys: string): void {
  const stream = bucketStream(bucket);
  if (keys === '>') rights.publish.push(`$JS.API.STREAM.INFO.${stream}`, `$JS.API.STREAM.MSG.GET.${stream}`);
  rights.publish.push(
    `$JS.API.DIRECT.GET.${stream}.$KV.${bucket}.${keys}`,
    `$JS.API.CONSUMER.CREATE.${stream}.*.$KV.${bucket}.${keys}`,
  );
  ephemeralConsumers(rights, stream);
}

function readStream(rights: Rights, stream: string, filter: string): void {
  rights.publish.push(`$JS.API.STREAM.INFO.${stream}`);
  if (filter === '>') rights.publish.push(`$JS.API.CONSUMER.CREATE.${stream}.>`);
  else rights.publish.push(`$JS.API.CONSUMER.CREATE.${stream}.*.${filter}`);
  rights.publish.push(`$JS.API.CONSUMER.MSG.NEXT.${stream}.*`);
  ephemeralConsumers(rights, stream);
}

/** What clients do with their own short-lived consumers, whose names are random: look, remove, answer flow control. */
function ephemeralConsumers(rights: Rights, stream: string): void {
  rights.publish.push(
    `$JS.API.CONSUMER.INFO.${stream}.*`,
    `$JS.API.CONSUMER.DELETE.${stream}.*`,
    `$JS.FC.${stream}.>`,
    `$JS.FC.*.*.${stream}.>`,
  );
}
