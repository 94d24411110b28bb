import type { RoutingTable } from '../routing/routing-table.js';
import type { ServerCertificate } from '../tls/server-certificate.js';
import type { RefusalReason } from './refusal.js';

/** Times in milliseconds. */
export interface ProxyLimits {
  /** From accept to the end of the ClientHello, and again from there to the end of the handshake. */
  readonly handshakeTimeoutMs: number;
  /** For one instance; the next one is tried after it. */
  readonly connectTimeoutMs: number;
  /** Instances tried for one connection, at most. */
  readonly connectAttempts: number;
  /** A connection on which neither side says anything for this long is closed. */
  readonly idleTimeoutMs: number;
  readonly maxConnections: number;
  /** Connections that have not finished their ClientHello; the oldest gives way to a new one. */
  readonly maxPendingHellos: number;
}

export const DEFAULT_LIMITS: ProxyLimits = {
  handshakeTimeoutMs: 5_000,
  connectTimeoutMs: 3_000,
  connectAttempts: 4,
  idleTimeoutMs: 600_000,
  maxConnections: 10_000,
  maxPendingHellos: 2_000,
};

/** What the proxy tells about its work. */
export interface ProxyObserver {
  opened(mode: 'terminate' | 'passthrough'): void;
  closed(mode: 'terminate' | 'passthrough'): void;
  /** Bytes since the last call: to the app and from it. */
  carried(toApp: number, fromApp: number): void;
  refused(reason: RefusalReason): void;
  /** An instance could not be reached; the connection goes on with the next one, if there is one. */
  unreachable(instanceId: string, address: string, port: number, error: Error): void;
  /** A bug: a connection ended with an error nobody expected. */
  failed(error: unknown): void;
}

export interface ProxyOptions {
  readonly table: RoutingTable;
  readonly certificate: ServerCertificate;
  /** Lower case. */
  readonly baseDomain: string;
  readonly limits: ProxyLimits;
  readonly observer: ProxyObserver;
  /** [0, 1), for the choice among instances. */
  readonly random: () => number;
}
