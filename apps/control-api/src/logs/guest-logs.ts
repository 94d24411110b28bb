import { DeliverPolicy, type JsMsg, jetstream } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { STREAM_NAMES } from '@vouch/eventstore';
import { asError } from '@vouch/platform';
import { z } from 'zod';
import type { FleetFeed } from '../fleet/fleet-feed.js';
import { ProblemError } from '../problems/problem-error.js';

export interface LogLine {
  /** ISO 8601: when the host's worker read the line. */
  readonly time: string;
  /** Whose output: "agent" or "app". */
  readonly source: string;
  readonly line: string;
}

/** What a host worker publishes: some lines it read at one time. */
const messageSchema = z.object({ time: z.iso.datetime(), source: z.string(), lines: z.array(z.string()) });

/** The whole answer may take this long, ms. */
const READ_LIMIT_MS = 5_000;

/** Reads what guests wrote, from the bounded stream LOGS (`logs.<hostId>.<instanceId>`, newest kept). */
export class GuestLogs {
  constructor(
    private readonly connection: NatsConnection,
    private readonly feed: FleetFeed,
  ) {}

  /** The last `count` lines, oldest first, from every host the instance ran on. Throws ProblemError. */
  async tail(instanceId: string, count: number): Promise<LogLine[]> {
    if (this.feed.view.instance(instanceId).state.status === 'absent') {
      const detail = `there is no instance ${instanceId}`;
      const errors = [{ field: 'instanceId', message: detail }];
      throw new ProblemError({ status: 404, code: 'instance-unknown', detail, errors });
    }
    try {
      return await this.#read(`logs.*.${instanceId}`, count);
    } catch (thrown) {
      const detail = 'the bus does not answer for logs';
      const cause = asError(thrown);
      throw new ProblemError({ status: 503, code: 'logs-unavailable', detail, retryable: true, cause });
    }
  }

  async #read(filter: string, count: number): Promise<LogLine[]> {
    const consumer = await jetstream(this.connection).consumers.get(STREAM_NAMES.logs, {
      filter_subjects: filter,
      deliver_policy: DeliverPolicy.All,
      inactive_threshold: 10_000,
    });
    const { num_pending: pending } = await consumer.info();
    const lines: LogLine[] = [];
    if (pending === 0) return lines;
    const messages = await consumer.consume({ max_messages: 500 });
    const timer = setTimeout(() => messages.stop(), READ_LIMIT_MS);
    try {
      for await (const message of messages) {
        lines.push(...linesOf(message));
        if (lines.length > 2 * count) lines.splice(0, lines.length - count);
        if (message.info.pending === 0) break;
      }
    } finally {
      clearTimeout(timer);
      messages.stop();
      await consumer.delete().catch(() => false);
    }
    return lines.slice(-count);
  }
}

/** A message in no known form is shown as the text it is: a guest's output never fails a reader. */
function linesOf(message: JsMsg): LogLine[] {
  const text = message.string();
  try {
    const { time, source, lines } = messageSchema.parse(JSON.parse(text));
    return lines.map((line) => ({ time, source, line }));
  } catch {
    return [{ time: new Date(message.time).toISOString(), source: '?', line: text }];
  }
}
