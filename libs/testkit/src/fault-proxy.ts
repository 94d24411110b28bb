import { connect, createServer, type Server, type Socket } from 'node:net';
import { type NatsFrame, NatsFrameReader } from './nats-frames.js';

/**
 * A TCP proxy in front of a NATS server that a test can make misbehave: refuse and cut connections, delay traffic,
 * swallow what either side sends, or drop single replies such as acknowledgements.
 */
export class FaultProxy {
  readonly #pairs = new Set<{ client: Socket; upstream: Socket }>();
  #refusing = false;
  #delayMs = 0;
  #swallowRequests = false;
  #swallowReplies = false;
  #drop: { matches: (frame: NatsFrame) => boolean; left: number } | undefined;
  #dropped = 0;

  private constructor(
    private readonly server: Server,
    readonly port: number,
    private readonly targetPort: number,
  ) {
    server.on('connection', (client) => this.#accept(client));
  }

  /** Listens on a free loopback port and forwards to `targetPort`. */
  static async start(targetPort: number): Promise<FaultProxy> {
    const server = createServer();
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, '127.0.0.1', resolve);
    });
    const address = server.address();
    if (address === null || typeof address === 'string') throw new TypeError('the proxy has no TCP port');
    return new FaultProxy(server, address.port, targetPort);
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  /** Replies dropped so far by {@link dropReplies}. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Breaks every open connection; new ones are taken unless refused. */
  cut(): void {
    for (const { client, upstream } of this.#pairs) {
      client.destroy();
      upstream.destroy();
    }
  }

  /** While true, new connections are closed at once. */
  refuse(refusing: boolean): void {
    this.#refusing = refusing;
  }

  /** Holds everything back for this many milliseconds, in both directions. */
  delay(milliseconds: number): void {
    this.#delayMs = milliseconds;
  }

  /** While true, nothing the client sends arrives, though the connection stays open. */
  swallowRequests(swallow: boolean): void {
    this.#swallowRequests = swallow;
  }

  /** While true, nothing the server sends arrives, though the connection stays open. */
  swallowReplies(swallow: boolean): void {
    this.#swallowReplies = swallow;
  }

  /** Drops the next `count` messages to the client that match. */
  dropReplies(count: number, matches: (frame: NatsFrame) => boolean): void {
    this.#drop = { matches, left: count };
  }

  /** Drops the next `count` acknowledgements of stored messages. */
  dropAcks(count: number): void {
    this.dropReplies(count, ({ text }) => /\{"stream":"[^"]+",\s*"seq":\d+/.test(text));
  }

  /** Undoes every fault; broken connections stay broken. */
  heal(): void {
    this.#refusing = false;
    this.#delayMs = 0;
    this.#swallowRequests = false;
    this.#swallowReplies = false;
    this.#drop = undefined;
  }

  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    this.cut();
    await closed;
  }

  #accept(client: Socket): void {
    if (this.#refusing) {
      client.destroy();
      return;
    }
    const upstream = connect({ port: this.targetPort, host: '127.0.0.1' });
    const pair = { client, upstream };
    this.#pairs.add(pair);
    const end = () => {
      client.destroy();
      upstream.destroy();
      this.#pairs.delete(pair);
    };
    for (const socket of [client, upstream]) socket.on('error', end).on('close', end);
    client.on('data', (chunk) => {
      if (!this.#swallowRequests) this.#forward(chunk, upstream);
    });
    const frames = new NatsFrameReader();
    upstream.on('data', (chunk) => {
      for (const frame of frames.push(chunk)) {
        if (!this.#swallowReplies && !this.#isDropped(frame)) this.#forward(frame.bytes, client);
      }
    });
  }

  #isDropped(frame: NatsFrame): boolean {
    const drop = this.#drop;
    if (drop === undefined || drop.left === 0 || frame.subject === '' || !drop.matches(frame)) return false;
    drop.left -= 1;
    this.#dropped += 1;
    return true;
  }

  #forward(bytes: Buffer, to: Socket): void {
    if (this.#delayMs === 0) {
      to.write(bytes);
      return;
    }
    // Timers of equal length fire in the order they were set, so the bytes stay in order.
    setTimeout(() => {
      if (!to.destroyed) to.write(bytes);
    }, this.#delayMs);
  }
}
