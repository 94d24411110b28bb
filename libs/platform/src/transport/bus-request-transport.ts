import type { Msg, NatsConnection, Subscription } from '@nats-io/transport-node';
import { BaseRpcContext, type CustomTransportStrategy, type MessageHandler, Server } from '@nestjs/microservices';
import { asError, saysRetryable } from '../back-off.js';
import { handlerResult } from './handler-result.js';
import { SlotPool } from './slot-pool.js';
import type { TransportParts } from './transport-parts.js';

const DEFAULT_MAX_IN_FLIGHT = 64;
const DEFAULT_MAX_REQUEST_BYTES = 256 * 1024;

export interface BusRequestTransportOptions extends TransportParts {
  readonly connection: NatsConnection;
  /** Replicas of one service share requests under this name. */
  readonly queue: string;
  /** Requests answered at once, at most; more are refused as `busy` (retryable). Default 64. */
  readonly maxInFlight?: number;
  /** Larger requests are refused. Default 256 KiB. */
  readonly maxRequestBytes?: number;
}

export class BusRequestContext extends BaseRpcContext<[string]> {
  constructor(subject: string) {
    super([subject]);
  }

  /** Subject the request came on: its tokens say who asks, as far as the bus permissions are kept. */
  get subject(): string {
    return this.args[0];
  }
}

/**
 * Nest transport for core NATS request/reply: `@MessagePattern('kms.challenge.*')` handlers get (parsed JSON,
 * BusRequestContext); what they return is the JSON reply. A failure is `{error: {code, message, retryable}}`: an error
 * with a string `code` is passed on, any other becomes `internal` and goes to the log only.
 */
export class BusRequestTransport extends Server implements CustomTransportStrategy {
  readonly #handlers = new Map<string, MessageHandler>();
  readonly #slots: SlotPool;
  #subscriptions: Subscription[] = [];

  constructor(private readonly options: BusRequestTransportOptions) {
    super();
    this.#slots = new SlotPool(options.maxInFlight ?? DEFAULT_MAX_IN_FLIGHT);
  }

  override addHandler(pattern: unknown, callback: MessageHandler, isEventHandler = false): void {
    if (!isEventHandler) this.#handlers.set(this.normalizePattern(pattern as string), callback);
  }

  listen(callback: (error?: unknown) => void): void {
    const { connection, queue } = this.options;
    this.#subscriptions = [...this.#handlers].map(([pattern, handler]) =>
      connection.subscribe(pattern, {
        queue,
        callback: (error, message) => {
          // The only error here is a refused subscription: nobody would ever get an answer.
          if (error !== null) this.options.state.fail(`requests ${pattern}`, error);
          else void this.#answer(pattern, handler, message);
        },
      }),
    );
    connection.flush().then(
      () => callback(),
      (error: unknown) => callback(error),
    );
  }

  /** Takes no more requests; resolves when the running ones are answered. */
  async close(): Promise<void> {
    const closing = this.#subscriptions;
    this.#subscriptions = [];
    if (!this.options.connection.isClosed()) await Promise.all(closing.map((subscription) => subscription.drain()));
    await this.#slots.idle();
  }

  async #answer(pattern: string, handler: MessageHandler, message: Msg): Promise<void> {
    if (!this.#slots.tryTake()) {
      this.#reply(pattern, message, { error: { code: 'busy', message: 'too many requests at once', retryable: true } });
      return;
    }
    try {
      const request = this.#parsed(message);
      if (request === undefined) {
        const error = { code: 'bad-request', message: 'the request is not JSON or too large', retryable: false };
        this.#reply(pattern, message, { error });
        return;
      }
      const result = await handlerResult(handler(request.value, new BusRequestContext(message.subject)));
      this.#reply(pattern, message, result ?? null);
    } catch (error) {
      this.#reply(pattern, message, { error: this.#described(pattern, asError(error)) });
    } finally {
      this.#slots.give();
    }
  }

  #parsed(message: Msg): { value: unknown } | undefined {
    if (message.data.length > (this.options.maxRequestBytes ?? DEFAULT_MAX_REQUEST_BYTES)) return undefined;
    try {
      return { value: JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(message.data)) as unknown };
    } catch {
      return undefined;
    }
  }

  #described(pattern: string, error: Error): { code: string; message: string; retryable: boolean } {
    const { code } = error as { code?: unknown };
    const retryable = saysRetryable(error);
    if (typeof code === 'string' && retryable !== undefined) return { code, message: error.message, retryable };
    this.options.logger.error({ pattern, err: error }, 'a request failed');
    return { code: 'internal', message: 'the request failed; see the log of the service', retryable: true };
  }

  #reply(pattern: string, message: Msg, body: unknown): void {
    const failure = (body as { error?: { code?: string } } | null)?.error?.code;
    this.options.metrics.requests.inc({ pattern, outcome: failure ?? 'ok' });
    try {
      message.respond(JSON.stringify(body));
    } catch (error) {
      this.options.logger.warn({ pattern, err: asError(error).message }, 'the reply could not be sent');
    }
  }

  on(): never {
    throw new TypeError('this transport has no events to listen to; see ServiceState');
  }

  unwrap<T>(): T {
    return this.options.connection as T;
  }
}
