import { type KV, Kvm } from '@nats-io/kv';
import type { NatsConnection } from '@nats-io/transport-node';
import type { BucketName } from './bus-definition.js';

/**
 * Opens a key-value bucket that the migration step made. Values are read with direct gets, whose API subject names the
 * key, so that a node's permissions can hold it to its own keys; the other kind of read would be refused to it. For the
 * same reason watch one key pattern at a time. Values are a cache anyone with the right credential may have written:
 * treat one that does not parse as absent.
 */
export function openBucket(connection: NatsConnection, bucket: BucketName): Promise<KV> {
  return new Kvm(connection).open(bucket, { allow_direct: true });
}
