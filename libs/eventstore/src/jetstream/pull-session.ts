import { type Msg, nanos, type Subscription } from '@nats-io/transport-node';
import { type Delivery, readDelivery } from './delivery.js';
import type { CreatedConsumer, LogApi } from './log-api.js';

/** Messages asked for in one pull, and bytes: the most a slow caller makes this process hold, twice. */
const BATCH_MESSAGES = 256;
const BATCH_BYTES = 8 * 1024 * 1024;
/** A pull ends after this long without a message, ms, and is renewed. */
const PULL_EXPIRES_MS = 20_000;
/** The server shows that a waiting pull is alive this often, ms; two missed beats end the session. */
const HEARTBEAT_MS = 2_000;
const SILENCE_LIMIT_MS = 2.5 * HEARTBEAT_MS;

const STATUS_HEARTBEAT = 100;
const STATUS_NO_MESSAGES = 404;
const STATUS_PULL_ENDED = 408;
const STATUS_CONFLICT = 409;

/**
 * Pulls from one consumer. The next batch is asked for only when the caller has taken everything, which is the
 * back-pressure. A lost delivery, a vanished consumer, a new connection or a silent server ends the session; its owner
 * opens another.
 */
export class PullSession {
  /** Set by the owner when a finite read is through. */
  isComplete = false;
  readonly #subscription: Subscription;
  readonly #inbox: string;
  readonly #queue: Msg[] = [];
  #consumerSeq = 0;
  /** True while a pull waits at the server. */
  #pulling = false;
  #receivedInPull = 0;
  #ended = false;
  #wake: (() => void) | undefined;
  readonly #stopWatching: () => void;

  constructor(
    private readonly api: LogApi,
    private readonly consumerName: string,
    readonly created: CreatedConsumer,
    private readonly signal: AbortSignal | undefined,
  ) {
    this.#inbox = api.newInbox();
    this.#subscription = api.connection.subscribe(this.#inbox, {
      callback: (error, msg) => {
        if (error === null) this.#queue.push(msg);
        else this.#ended = true;
        this.#wake?.();
      },
    });
    signal?.addEventListener('abort', this.#end, { once: true });
    this.#stopWatching = api.reconnects.add(this.#end);
  }

  readonly #end = (): void => {
    this.#ended = true;
    this.#wake?.();
  };

  close(): void {
    this.signal?.removeEventListener('abort', this.#end);
    this.#stopWatching();
    this.#subscription.unsubscribe();
  }

  /**
   * The next delivery; `ended` when this session cannot go on; `drained` when the server says that nothing is left
   * (only with `wait` false).
   */
  async next(wait: boolean): Promise<Delivery | 'ended' | 'drained'> {
    for (;;) {
      if (this.signal?.aborted === true) return 'ended';
      const msg = this.#queue.shift();
      if (msg !== undefined) {
        const delivery = readDelivery(msg);
        if (delivery !== undefined) {
          if (delivery.consumerSeq !== this.#consumerSeq + 1) return 'ended';
          this.#consumerSeq = delivery.consumerSeq;
          this.#receivedInPull += 1;
          if (this.#receivedInPull >= BATCH_MESSAGES) this.#pulling = false;
          return delivery;
        }
        const outcome = this.#onStatus(msg, wait);
        if (outcome !== undefined) return outcome;
        continue;
      }
      if (this.#ended) return 'ended';
      if (!this.#pulling) this.#pull();
      if (!(await this.#waitForMessage())) return 'ended';
    }
  }

  #onStatus(msg: Msg, wait: boolean): 'ended' | 'drained' | undefined {
    const status = msg.headers?.code ?? 0;
    if (status === STATUS_HEARTBEAT) return undefined;
    if (status === STATUS_NO_MESSAGES || status === STATUS_PULL_ENDED) {
      this.#pulling = false;
      return !wait && this.#receivedInPull === 0 ? 'drained' : undefined;
    }
    if (status === STATUS_CONFLICT && /maxbytes/i.test(msg.headers?.description ?? '')) {
      // The batch ended at its byte limit.
      this.#pulling = false;
      return undefined;
    }
    // The consumer or its leader is gone, or the request was not taken.
    return 'ended';
  }

  #pull(): void {
    this.#pulling = true;
    this.#receivedInPull = 0;
    const request = {
      batch: BATCH_MESSAGES,
      max_bytes: BATCH_BYTES,
      expires: nanos(PULL_EXPIRES_MS),
      idle_heartbeat: nanos(HEARTBEAT_MS),
    };
    const { connection, streamName } = this.api;
    connection.publish(`$JS.API.CONSUMER.MSG.NEXT.${streamName}.${this.consumerName}`, JSON.stringify(request), {
      reply: this.#inbox,
    });
  }

  /** False when the server stayed silent for longer than its heartbeats allow. */
  #waitForMessage(): Promise<boolean> {
    return new Promise((resolve) => {
      const finish = (alive: boolean) => {
        clearTimeout(timer);
        this.#wake = undefined;
        resolve(alive);
      };
      const timer = setTimeout(() => finish(false), SILENCE_LIMIT_MS);
      this.#wake = () => finish(true);
    });
  }
}
