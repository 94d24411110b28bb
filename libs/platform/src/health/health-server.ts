import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ListenAddress } from '../config/read-config.js';
import type { Metrics } from './metrics.js';
import type { ServiceState } from './service-state.js';

/**
 * `/healthz` (200 while the process can go on, 503 after a fatal error), `/readyz` (200 or 503 with the reasons as JSON)
 * and `/metrics` (Prometheus text). Plain HTTP, meant for the loopback or a private network; it shows no secrets.
 */
export class HealthServer {
  readonly #server: Server;

  /** `otherPaths` answers every path that is not one of the three, for a service that has more to show in the open. */
  constructor(state: ServiceState, metrics: Metrics, otherPaths?: RequestListener) {
    this.#server = createServer((request, response) => {
      if (request.method !== 'GET' && request.method !== 'HEAD') return reply(response, 405, { error: 'GET only' });
      switch (request.url?.split('?')[0]) {
        case '/healthz':
          return reply(response, state.fatal === undefined ? 200 : 503, healthOf(state));
        case '/readyz':
          return reply(response, state.isReady ? 200 : 503, { ready: state.isReady, reasons: state.reasons });
        case '/metrics':
          void metrics.registry.metrics().then(
            (text) => response.writeHead(200, { 'content-type': metrics.registry.contentType }).end(text),
            () => reply(response, 500, { error: 'metrics failed' }),
          );
          return;
        default:
          if (otherPaths !== undefined) return otherPaths(request, response);
          return reply(response, 404, { error: 'no such path' });
      }
    });
  }

  /** Resolves with the port listened on; rejects when the address is taken. */
  listen(address: ListenAddress): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(address.port, address.host, () => resolve((this.#server.address() as AddressInfo).port));
    });
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }
}

function healthOf(state: ServiceState): unknown {
  return state.fatal === undefined
    ? { status: 'ok' }
    : { status: 'failed', where: state.fatal.where, error: state.fatal.error.message };
}

function reply(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}
