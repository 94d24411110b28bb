import { createServer, type Server, type Socket } from 'node:net';
import { type RouteRequest, readHostName } from '../routing/host-name.js';
import { orderRoutes } from '../routing/order-routes.js';
import type { Route } from '../routing/routing-table.js';
import { tlsAlert } from '../tls/tls-alert.js';
import { connectUpstream } from './connect-upstream.js';
import type { ProxyOptions } from './proxy-options.js';
import { asRefusal, readClientHello } from './read-client-hello.js';
import { ConnectionRefusedError } from './refusal.js';
import { Relay } from './relay.js';
import { terminateTls } from './terminate-tls.js';

/** One client connection, from accept to close. */
interface Connection {
  readonly socket: Socket;
  readonly abort: AbortController;
  route?: Route;
  relay?: Relay;
  /** Bytes already reported. */
  reportedToApp: number;
  reportedFromApp: number;
}

/**
 * The data path: accepts TLS, reads the server name, asks the routing table, ends TLS or passes it through, and carries
 * bytes to one instance. It serves only what the table routes at that moment, and cuts what the table took back.
 */
export class GatewayProxy {
  readonly #server: Server;
  readonly #open = new Set<Connection>();
  /** Connections without a ClientHello, oldest first. */
  readonly #pending = new Set<Connection>();
  /** Connections to an instance, those being made included. */
  readonly #perInstance = new Map<string, number>();

  constructor(private readonly options: ProxyOptions) {
    this.#server = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true }, (socket) =>
      this.#accept(socket),
    );
  }

  /** Resolves with the port listened on; rejects when the address is taken. */
  listen(host: string, port: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ host, port, backlog: 1024 }, () => {
        this.#server.off('error', reject);
        this.#server.on('error', (error) => this.options.observer.failed(error));
        const address = this.#server.address();
        resolve(typeof address === 'object' && address !== null ? address.port : port);
      });
    });
  }

  /** Stops accepting, lets open connections end for `graceMs`, then cuts the rest. Returns how many were cut. */
  async drain(graceMs: number): Promise<number> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const connection of [...this.#open]) {
      if (connection.relay === undefined)
        connection.abort.abort(new ConnectionRefusedError('draining', 'internalError'));
    }
    let cut = 0;
    const timer = setTimeout(() => {
      cut = this.#open.size;
      for (const connection of this.#open) end(connection);
    }, graceMs);
    await closed;
    clearTimeout(timer);
    return cut;
  }

  /** Cuts the connections of an instance that its current route, if any, would not carry. */
  cutStale(instanceId: string): void {
    const current = this.options.table.routeOf(instanceId);
    for (const connection of this.#open) {
      const { route } = connection;
      if (route?.instanceId !== instanceId) continue;
      if (typeof current !== 'object' || current.epoch !== route.epoch) end(connection);
    }
  }

  connectionsTo(instanceId: string): number {
    return this.#perInstance.get(instanceId) ?? 0;
  }

  /** Reports bytes carried since the last report, for metrics of connections that live long. */
  reportCarried(): void {
    for (const connection of this.#open) this.#report(connection);
  }

  #accept(socket: Socket): void {
    const connection: Connection = { socket, abort: new AbortController(), reportedToApp: 0, reportedFromApp: 0 };
    socket.on('error', () => socket.destroy());
    if (this.#open.size >= this.options.limits.maxConnections) {
      this.options.observer.refused('too-many-connections');
      socket.destroy();
      return;
    }
    this.#open.add(connection);
    socket.once('close', () => connection.abort.abort());
    this.#serve(connection)
      .catch((error: unknown) => this.#refuse(connection, error))
      .finally(() => this.#open.delete(connection))
      .catch((error: unknown) => this.options.observer.failed(error));
  }

  async #serve(connection: Connection): Promise<void> {
    const { socket, abort } = connection;
    const { handshakeTimeoutMs } = this.options.limits;
    const serverName = await this.#whilePending(connection, () =>
      readClientHello(socket, handshakeTimeoutMs, abort.signal),
    );
    const reading = readHostName(serverName, this.options.baseDomain);
    if (!reading.ok) throw new ConnectionRefusedError(reading.code);
    const { request } = reading;
    // Asked before the handshake, so that a name without a route is answered by an alert instead of a certificate.
    this.#routesFor(request);
    if (request.mode === 'passthrough') return this.#carry(connection, request, socket);
    const stream = await terminateTls(socket, {
      context: this.options.certificate.context,
      alpn: request.mode === 'terminate-h2' ? ['h2'] : [],
      timeoutMs: handshakeTimeoutMs,
      signal: abort.signal,
    });
    return this.#carry(connection, request, stream);
  }

  async #whilePending<T>(connection: Connection, work: () => Promise<T>): Promise<T> {
    const [oldest] = this.#pending;
    if (oldest !== undefined && this.#pending.size >= this.options.limits.maxPendingHellos) {
      this.#pending.delete(oldest);
      oldest.abort.abort(new ConnectionRefusedError('too-many-connections', 'internalError'));
    }
    this.#pending.add(connection);
    try {
      return await work();
    } finally {
      this.#pending.delete(connection);
    }
  }

  #routesFor({ id, port }: RouteRequest): readonly Route[] {
    const lookup = this.options.table.lookup(id, port);
    if (!lookup.ok) throw new ConnectionRefusedError(lookup.code);
    return lookup.routes;
  }

  /** Connects to an instance and carries bytes until the connection ends. */
  async #carry(connection: Connection, request: RouteRequest, client: Socket): Promise<void> {
    const { observer, limits } = this.options;
    const { upstream, route } = await this.#connect(connection, request);
    // From this check to the relay nothing is awaited: whatever the table takes back later finds the relay to cut.
    if (!this.#isStillRouted(route) || connection.abort.signal.aborted) {
      upstream.destroy();
      this.#count(route, -1);
      throw asRefusal(connection.abort.signal.reason);
    }
    const mode = request.mode === 'passthrough' ? 'passthrough' : 'terminate';
    observer.opened(mode);
    connection.route = route;
    connection.relay = new Relay(client, upstream, limits.idleTimeoutMs);
    try {
      await connection.relay.done;
    } finally {
      this.#report(connection);
      this.#count(route, -1);
      observer.closed(mode);
    }
  }

  async #connect(connection: Connection, request: RouteRequest): Promise<{ upstream: Socket; route: Route }> {
    const { limits, observer, random } = this.options;
    const { signal } = connection.abort;
    const tried = new Set<string>();
    while (tried.size < limits.connectAttempts) {
      // Asked again for each try: the table may have changed since the last one.
      const untried = this.#routesFor(request).filter(({ instanceId }) => !tried.has(instanceId));
      const [route] = orderRoutes(untried, ({ instanceId }) => this.connectionsTo(instanceId), random);
      if (route === undefined) break;
      tried.add(route.instanceId);
      this.#count(route, 1);
      try {
        const upstream = await connectUpstream(route.address, request.port, limits.connectTimeoutMs, signal);
        return { upstream, route };
      } catch (error) {
        this.#count(route, -1);
        if (error instanceof ConnectionRefusedError) throw error;
        observer.unreachable(route.instanceId, route.address, request.port, error as Error);
      }
    }
    throw new ConnectionRefusedError('upstream-unreachable', 'internalError');
  }

  #isStillRouted(route: Route): boolean {
    const now = this.options.table.routeOf(route.instanceId);
    return typeof now === 'object' && now.epoch === route.epoch && now.address === route.address;
  }

  #refuse({ socket }: Connection, error: unknown): void {
    const refusal = error instanceof ConnectionRefusedError ? error : undefined;
    if (refusal === undefined) this.options.observer.failed(error);
    else this.options.observer.refused(refusal.code);
    if (refusal === undefined || socket.destroyed || socket.bytesWritten > 0 || isAfterHandshakeStart(refusal)) {
      socket.destroy();
      return;
    }
    socket.end(refusal.code === 'not-tls' ? NOT_TLS_ANSWER : tlsAlert(refusal.alert));
    // What the client still sends is thrown away; it gets a moment to read the answer.
    socket.resume();
    socket.setTimeout(REFUSAL_GRACE_MS, () => socket.destroy());
    socket.once('finish', () => socket.destroySoon());
  }

  #count({ instanceId }: Route, change: 1 | -1): void {
    const next = this.connectionsTo(instanceId) + change;
    if (next === 0) this.#perInstance.delete(instanceId);
    else this.#perInstance.set(instanceId, next);
  }

  #report(connection: Connection): void {
    if (connection.relay === undefined) return;
    const { toApp, fromApp } = connection.relay.carried;
    this.options.observer.carried(toApp - connection.reportedToApp, fromApp - connection.reportedFromApp);
    connection.reportedToApp = toApp;
    connection.reportedFromApp = fromApp;
  }
}

const REFUSAL_GRACE_MS = 1_000;
const NOT_TLS_ANSWER =
  'HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\nThis port speaks TLS: use https://\n';

/** The TLS engine owns the connection by then: plain bytes would be noise on it. */
function isAfterHandshakeStart(refusal: ConnectionRefusedError): boolean {
  return refusal.code === 'handshake-failed' || refusal.code === 'handshake-timeout';
}

function end(connection: Connection): void {
  if (connection.relay === undefined) connection.abort.abort(new ConnectionRefusedError('no-route'));
  else connection.relay.cut();
}
