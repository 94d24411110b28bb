import { AckPolicy, DeliverPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { type NatsConnection, nanos, nuid } from '@nats-io/transport-node';

const READ_MS = 2_000;
const FORGOTTEN_AFTER_MS = 30_000;

/**
 * Every message a stream holds for one subject now, oldest first. By a short-lived named consumer whose filter is part of
 * the API subject: that is what a host worker's bus permissions allow, for its own subjects only.
 */
export async function readSubject(connection: NatsConnection, stream: string, subject: string): Promise<string[]> {
  const manager = await jetstreamManager(connection, { checkAPI: false });
  const { name, num_pending: pending } = await manager.consumers.add(stream, {
    name: `read-${nuid.next()}`,
    filter_subject: subject,
    deliver_policy: DeliverPolicy.All,
    ack_policy: AckPolicy.None,
    inactive_threshold: nanos(FORGOTTEN_AFTER_MS),
    mem_storage: true,
  });
  try {
    if (pending === 0) return [];
    const consumer = await jetstream(connection).consumers.get(stream, name);
    const texts: string[] = [];
    for await (const message of await consumer.fetch({ max_messages: pending, expires: READ_MS })) {
      texts.push(message.string());
    }
    return texts;
  } finally {
    await manager.consumers.delete(stream, name).catch(() => false);
  }
}
