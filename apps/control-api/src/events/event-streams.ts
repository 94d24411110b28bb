import { once } from 'node:events';
import type { EventStore, StoredEvent } from '@vouch/eventstore';
import { asError, type FieldLogger } from '@vouch/platform';
import type { FastifyReply } from 'fastify';
import { ProblemError } from '../problems/problem-error.js';

export interface StreamFilter {
  readonly kind?: string | undefined;
  readonly type?: string | undefined;
  readonly subject?: string | undefined;
  readonly corr?: string | undefined;
}

/** Streams served at once; each holds a reader of the log. */
const MAX_STREAMS = 64;
/** A comment is sent after this long without an event, ms, so that proxies and clients see a live connection. */
const KEEP_ALIVE_MS = 15_000;

/** Serves the log as server-sent events, one ordered read of the event store per client, as fast as the client reads. */
export class EventStreams {
  readonly #open = new Set<AbortController>();

  constructor(
    private readonly store: EventStore,
    private readonly logger: FieldLogger,
  ) {}

  /** Ends every stream; clients resume elsewhere with Last-Event-ID. */
  close(): void {
    for (const controller of this.#open) controller.abort();
  }

  /**
   * Answers with the events after `after` (absent: after the present end) until the client leaves. Throws ProblemError
   * before the answer has begun; later the stream just ends, and the client resumes.
   */
  async serve(reply: FastifyReply, after: number | undefined, filter: StreamFilter): Promise<void> {
    if (this.#open.size >= MAX_STREAMS) {
      const detail = `${MAX_STREAMS} event streams are open already; close one`;
      throw new ProblemError({ status: 429, code: 'too-many-streams', detail, retryable: true });
    }
    const head = await this.store.lastSeq();
    const from = after ?? head;
    if (from > head) {
      const detail = `the log ends at event ${head}; position ${from} does not exist yet`;
      throw new ProblemError({ status: 400, code: 'position-unknown', detail });
    }
    const controller = new AbortController();
    this.#open.add(controller);
    reply.hijack();
    const { raw } = reply;
    raw.once('close', () => controller.abort());
    raw.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
      'x-content-type-options': 'nosniff',
    });
    raw.write('retry: 1000\n\n');
    const keepAlive = setInterval(() => raw.write(': still here\n\n'), KEEP_ALIVE_MS);
    try {
      for await (const event of this.store.read({ fromSeq: from + 1, follow: true, signal: controller.signal })) {
        if (!passes(event, filter)) continue;
        if (!raw.write(messageOf(event))) await once(raw, 'drain', { signal: controller.signal });
      }
    } catch (error) {
      if (!controller.signal.aborted) this.logger.warn({ err: asError(error) }, 'an event stream ended');
    } finally {
      clearInterval(keepAlive);
      this.#open.delete(controller);
      raw.end();
    }
  }
}

function passes({ envelope, subject }: StoredEvent, filter: StreamFilter): boolean {
  return (
    (filter.kind === undefined || subject.split('.')[1] === filter.kind) &&
    (filter.type === undefined || envelope.type === filter.type) &&
    (filter.subject === undefined || subject === filter.subject) &&
    (filter.corr === undefined || envelope.corr === filter.corr)
  );
}

function messageOf({ seq, subject, envelope }: StoredEvent): string {
  const { id, type, time, actor, cause, corr } = envelope;
  return `id: ${seq}\ndata: ${JSON.stringify({ seq, subject, id, type, time, actor, cause, corr, envelope })}\n\n`;
}
