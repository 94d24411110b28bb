import {
  AckPolicy,
  type ConsumerConfig,
  DeliverPolicy,
  DiscardPolicy,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
} from '@nats-io/jetstream';
import { MAX_EVENT_BYTES } from '@vouch/domain';

const KIB = 1024;
const MIB = 1024 * KIB;
const SECOND_NS = 1_000_000_000;
const MINUTE_NS = 60 * SECOND_NS;
const HOUR_NS = 60 * MINUTE_NS;

/** The settings of a stream that this project relies on; each is compared with what the server reports. */
export type StreamDefinition = Partial<StreamConfig> & Pick<StreamConfig, 'name' | 'subjects'>;

/** The settings of a durable consumer, and the one service that may use it. */
export interface ConsumerDefinition {
  readonly stream: string;
  readonly service: 'kms';
  readonly config: Partial<ConsumerConfig> & { readonly durable_name: string };
}

export const STREAM_NAMES = { events: 'EVENTS', sealed: 'SEALED', logs: 'LOGS', advisory: 'ADVISORY' } as const;

/**
 * The streams (eventing §11). EVENTS never loses a message by age, size, deletion or purge: when it is full it refuses.
 * Direct gets are off there, because a follower may answer them with old data.
 */
export const STREAMS = {
  [STREAM_NAMES.events]: {
    name: STREAM_NAMES.events,
    subjects: ['evt.>'],
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    discard: DiscardPolicy.New,
    max_age: 0,
    max_msgs: -1,
    max_msgs_per_subject: -1,
    max_bytes: 4096 * MIB,
    max_msg_size: MAX_EVENT_BYTES,
    duplicate_window: 2 * MINUTE_NS,
    deny_delete: true,
    deny_purge: true,
    allow_direct: false,
    allow_rollup_hdrs: false,
  },
  /** HPKE-sealed payloads on their way to guests; a lost one is asked for again. */
  [STREAM_NAMES.sealed]: {
    name: STREAM_NAMES.sealed,
    subjects: ['sealed.>'],
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    discard: DiscardPolicy.Old,
    max_age: 10 * MINUTE_NS,
    max_bytes: 128 * MIB,
    max_msg_size: 768 * KIB,
    duplicate_window: 2 * MINUTE_NS,
    allow_direct: false,
  },
  /** Guest output, bounded by age, size and per guest. */
  [STREAM_NAMES.logs]: {
    name: STREAM_NAMES.logs,
    subjects: ['logs.>'],
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    discard: DiscardPolicy.Old,
    max_age: 72 * HOUR_NS,
    max_msgs_per_subject: 10_000,
    max_bytes: 256 * MIB,
    max_msg_size: 256 * KIB,
    duplicate_window: 2 * MINUTE_NS,
    allow_direct: false,
  },
  /** What the server itself reports: API audit, stream actions, lost quorum, exceeded deliveries. */
  [STREAM_NAMES.advisory]: {
    name: STREAM_NAMES.advisory,
    subjects: ['$JS.EVENT.ADVISORY.>'],
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    discard: DiscardPolicy.Old,
    max_age: 24 * HOUR_NS,
    max_bytes: 32 * MIB,
    duplicate_window: 2 * MINUTE_NS,
    allow_direct: false,
  },
} as const satisfies Record<string, StreamDefinition>;

export const bucketNames = ['desired', 'hosts', 'challenges', 'addresses', 'gateways'] as const;
export type BucketName = (typeof bucketNames)[number];

/** JetStream stream that carries a key-value bucket. */
export function bucketStream(bucket: BucketName): `KV_${BucketName}` {
  return `KV_${bucket}`;
}

function bucket(name: BucketName, limits: { maxBytes: number; maxValueBytes: number; ttlNs: number }) {
  return {
    name: bucketStream(name),
    subjects: [`$KV.${name}.>`],
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    discard: DiscardPolicy.New,
    max_age: limits.ttlNs,
    max_msgs: -1,
    max_msgs_per_subject: 1,
    max_bytes: limits.maxBytes,
    max_msg_size: limits.maxValueBytes,
    duplicate_window: limits.ttlNs > 0 ? Math.min(limits.ttlNs, 2 * MINUTE_NS) : 2 * MINUTE_NS,
    deny_delete: true,
    allow_rollup_hdrs: true,
    allow_direct: true,
  } satisfies StreamDefinition;
}

/**
 * The key-value buckets. Each is a cache or a lease that can be dropped and rebuilt. `hosts` and `gateways` forget a node
 * whose heartbeat stops; `challenges` outlive their 60 s so that a used one is still known as used.
 */
export const BUCKETS = {
  desired: bucket('desired', { maxBytes: 256 * MIB, maxValueBytes: 512 * KIB, ttlNs: 0 }),
  hosts: bucket('hosts', { maxBytes: 16 * MIB, maxValueBytes: 16 * KIB, ttlNs: 30 * SECOND_NS }),
  challenges: bucket('challenges', { maxBytes: 32 * MIB, maxValueBytes: 4 * KIB, ttlNs: 3 * MINUTE_NS }),
  addresses: bucket('addresses', { maxBytes: 32 * MIB, maxValueBytes: 4 * KIB, ttlNs: 0 }),
  gateways: bucket('gateways', { maxBytes: 16 * MIB, maxValueBytes: 64 * KIB, ttlNs: 60 * SECOND_NS }),
} as const satisfies Record<BucketName, StreamDefinition>;

/**
 * Durable consumers. The migration step makes them; a service may only use its own. Deliveries never run out: an event
 * that cannot be handled stops its reader visibly instead of being dropped.
 */
export const CONSUMERS = {
  'kms-attestation': {
    stream: STREAM_NAMES.events,
    service: 'kms',
    config: {
      durable_name: 'kms-attestation',
      filter_subject: 'evt.attestation.>',
      deliver_policy: DeliverPolicy.All,
      ack_policy: AckPolicy.Explicit,
      ack_wait: 30 * SECOND_NS,
      max_deliver: -1,
      max_ack_pending: 64,
    },
  },
} as const satisfies Record<string, ConsumerDefinition>;

export type DurableName = keyof typeof CONSUMERS;
