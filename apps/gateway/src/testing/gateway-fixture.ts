import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect as connectTcp, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConnectionOptions, connect, createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { GatewayProxy } from '../proxy/gateway-proxy.js';
import { DEFAULT_LIMITS, type ProxyLimits, type ProxyObserver } from '../proxy/proxy-options.js';
import type { RefusalReason } from '../proxy/refusal.js';
import type { RoutingTable } from '../routing/routing-table.js';
import { ServerCertificate } from '../tls/server-certificate.js';

export const BASE_DOMAIN = 'apps.vouch.test';

/** PEM pairs a test made: the gateway's wildcard, and an app's own certificate. */
export interface TestCertificates {
  readonly caPem: string;
  readonly wildcard: { readonly certificate: string; readonly privateKey: string };
}

/** Remembers what the proxy reported. */
export class RecordingObserver implements ProxyObserver {
  readonly refusals: RefusalReason[] = [];
  readonly unreachables: string[] = [];
  readonly failures: unknown[] = [];
  open = 0;
  toApp = 0;
  fromApp = 0;

  opened(): void {
    this.open += 1;
  }
  closed(): void {
    this.open -= 1;
  }
  carried(toApp: number, fromApp: number): void {
    this.toApp += toApp;
    this.fromApp += fromApp;
  }
  refused(reason: RefusalReason): void {
    this.refusals.push(reason);
  }
  unreachable(instanceId: string): void {
    this.unreachables.push(instanceId);
  }
  failed(error: unknown): void {
    this.failures.push(error);
  }
}

/** A proxy on a free port, over a given table. */
export class GatewayFixture {
  private constructor(
    readonly proxy: GatewayProxy,
    readonly observer: RecordingObserver,
    readonly certificate: ServerCertificate,
    readonly certFile: string,
    readonly keyFile: string,
    readonly port: number,
    private readonly folder: string,
    private readonly caPem: string,
  ) {}

  static async start(
    table: RoutingTable,
    certificates: TestCertificates,
    limits: Partial<ProxyLimits> = {},
  ): Promise<GatewayFixture> {
    const folder = await mkdtemp(join(tmpdir(), 'vouch-gateway-'));
    const certFile = join(folder, 'wildcard.pem');
    const keyFile = join(folder, 'wildcard.key');
    await writeFile(certFile, certificates.wildcard.certificate);
    await writeFile(keyFile, certificates.wildcard.privateKey, { mode: 0o600 });
    const certificate = await ServerCertificate.load({ certFile, keyFile, baseDomain: BASE_DOMAIN });
    const observer = new RecordingObserver();
    const proxy = new GatewayProxy({
      table,
      certificate,
      baseDomain: BASE_DOMAIN,
      limits: { ...DEFAULT_LIMITS, ...limits },
      observer,
      random: Math.random,
    });
    const port = await proxy.listen('127.0.0.1', 0);
    return new GatewayFixture(proxy, observer, certificate, certFile, keyFile, port, folder, certificates.caPem);
  }

  /** A TLS client connection by server name. Rejects with the client's error, whose `code` names the alert. */
  async connect(servername: string, options: ConnectionOptions = {}): Promise<TLSSocket> {
    const socket = connect({ host: '127.0.0.1', port: this.port, servername, ca: this.caPem, ...options });
    await once(socket, 'secureConnect');
    return socket;
  }

  /** A plain TCP connection. */
  async dial(): Promise<Socket> {
    const socket = connectTcp(this.port, '127.0.0.1');
    await once(socket, 'connect');
    return socket;
  }

  async stop(): Promise<void> {
    await this.proxy.drain(0);
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** An app that says its name and then echoes: plain TCP, or TLS with a certificate of its own. */
export class EchoApp {
  readonly sockets = new Set<Socket>();
  private constructor(
    private readonly server: Server,
    readonly port: number,
  ) {}

  static start(name: string, host: string, port: number, tls?: { cert: string; key: string }): Promise<EchoApp> {
    const greet = (socket: Socket) => {
      app.sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => app.sockets.delete(socket));
      socket.write(`${name}\n`);
      socket.on('data', (chunk) => socket.write(chunk));
      socket.on('end', () => socket.end('bye\n'));
    };
    const server =
      tls === undefined
        ? createServer({ allowHalfOpen: true }, greet)
        : createTlsServer({ ...tls, allowHalfOpen: true }, greet);
    let app: EchoApp;
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, () => {
        app = new EchoApp(server, (server.address() as AddressInfo).port);
        resolve(app);
      });
    });
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }
}

/** Reads until `text` has come, or throws with what did come when the stream ends first. */
export async function readUntil(socket: Socket, text: string): Promise<string> {
  let seen = '';
  return new Promise((resolve, reject) => {
    const onData = (chunk: Buffer) => {
      seen += chunk.toString();
      if (!seen.includes(text)) return;
      socket.off('data', onData);
      socket.pause();
      resolve(seen);
    };
    socket.on('data', onData);
    socket.resume();
    socket.once('error', reject);
    socket.once('close', () => reject(new Error(`closed after ${JSON.stringify(seen)}`)));
  });
}

/** The first flight of a real TLS client for a server name. */
export async function realClientHello(servername: string): Promise<Buffer> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  const { port } = server.address() as AddressInfo;
  const client = connect({ host: '127.0.0.1', port, servername });
  client.on('error', () => undefined);
  const [accepted] = (await once(server, 'connection')) as [Socket];
  const [hello] = (await once(accepted, 'data')) as [Buffer];
  client.destroy();
  accepted.destroy();
  server.close();
  return hello;
}

/** Reads to the end of the stream. */
export async function readAll(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
