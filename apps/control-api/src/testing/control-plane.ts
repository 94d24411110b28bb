import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { BusUser } from '@vouch/eventstore';
import { freePort, type LocalServer, startPostgres } from '@vouch/platform/local-servers';
import { makeTestAuthors, startTestBus, type TestAuthors, type TestBus } from '@vouch/testkit';
import pg from 'pg';

const READER_PASSWORD = 'reader-password';

/** A program of this repository, by its compiled entry. */
function entryOf(app: string): string {
  return fileURLToPath(new URL(`../../../${app}/dist/main.js`, import.meta.url));
}

/**
 * A control plane on real parts, for tests: nats-server with every permission, Postgres, the auditor and control-api as
 * processes. There are no hosts and no KMS: tests speak for those with their own keys (see FakeHost).
 */
export class ControlPlane {
  readonly operatorToken = randomBytes(16).toString('hex');
  readonly viewerToken = randomBytes(16).toString('hex');
  readonly #processes = new Map<string, ChildProcess>();
  readonly #output = new Map<string, string>();
  #port = 0;

  private constructor(
    readonly bus: TestBus,
    readonly authors: TestAuthors,
    private postgres: LocalServer,
    private readonly folder: string,
  ) {}

  static async start(environment: Readonly<Record<string, string>> = {}): Promise<ControlPlane> {
    const folder = await mkdtemp(join(tmpdir(), 'vouch-control-'));
    const [bus, postgres] = await Promise.all([
      startTestBus({ dataDir: join(folder, 'nats') }),
      startPostgres({ dataDir: join(folder, 'postgres'), fsync: false }),
    ]);
    const plane = new ControlPlane(bus, makeTestAuthors(), postgres, folder);
    try {
      await plane.#prepare();
      await plane.#run('auditor', ['migrate'], plane.#auditorEnvironment());
      plane.#spawn('auditor', [], plane.#auditorEnvironment());
      await plane.startApi(environment);
    } catch (error) {
      await plane.stop();
      throw error;
    }
    return plane;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Starts control-api (again) and waits until it is ready. */
  async startApi(environment: Readonly<Record<string, string>> = {}): Promise<void> {
    const healthPort = await freePort();
    this.#port = await freePort();
    this.#spawn('control-api', [], {
      ...(await this.#common({ service: 'control-api', node: '' })),
      VOUCH_HEALTH_LISTEN: `127.0.0.1:${healthPort}`,
      CONTROL_API_LISTEN: `127.0.0.1:${this.#port}`,
      DATABASE_URL: this.databaseUrl('vouch', `vouch_reader:${READER_PASSWORD}`),
      VOUCH_API_TOKENS_FILE: join(this.folder, 'tokens.json'),
      JOBS_BACKEND: 'postgres',
      JOBS_DATABASE_URL: this.databaseUrl('jobs'),
      ...environment,
    });
    await this.#until('control-api', async () => (await fetch(`http://127.0.0.1:${healthPort}/readyz`)).ok);
  }

  /** What control-api has printed. */
  get apiOutput(): string {
    return this.#output.get('control-api') ?? '';
  }

  /** SIGKILL. */
  async killApi(): Promise<void> {
    await this.#end('control-api', 'SIGKILL');
  }

  async stopPostgres(): Promise<void> {
    await this.postgres.stop();
  }

  async startPostgresAgain(): Promise<void> {
    const { port } = this.postgres;
    this.postgres = await startPostgres({ dataDir: join(this.folder, 'postgres'), port, fsync: false });
  }

  databaseUrl(database: string, credentials?: string): string {
    const url = new URL(this.postgres.url);
    url.pathname = `/${database}`;
    if (credentials !== undefined) [url.username = '', url.password = ''] = credentials.split(':');
    return url.href;
  }

  async stop(): Promise<void> {
    for (const name of this.#processes.keys()) await this.#end(name, 'SIGTERM');
    await Promise.all([this.bus.stop(), this.postgres.stop()]);
    await rm(this.folder, { recursive: true, force: true });
  }

  async #prepare(): Promise<void> {
    const entry = (principal: string, token: string, role: string) => ({
      principal,
      tokenSha256: createHash('sha256').update(token).digest('hex'),
      role,
    });
    await this.#write('tokens.json', [
      entry('ann', this.operatorToken, 'operator'),
      entry('vic', this.viewerToken, 'viewer'),
    ]);
    await this.#write('trust.json', this.authors.trust);
    await writeFile(
      join(this.folder, 'log.pem'),
      this.authors.logPrivateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    );
    const client = new pg.Client({ connectionString: this.postgres.url });
    await client.connect();
    await client.query('create database vouch');
    await client.query('create database jobs');
    await client.end();
  }

  async #common(user: Exclude<BusUser, { service: 'migration' }>): Promise<Record<string, string>> {
    const folder = join(this.folder, user.service);
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'seed'), this.bus.seedOf(user));
    const key = this.authors.of(user.service, user.node).privateKey.export({ type: 'pkcs8', format: 'pem' });
    await writeFile(join(folder, 'signing.pem'), key as string);
    return {
      NATS_URL: this.bus.url,
      VOUCH_NATS_SEED_FILE: join(folder, 'seed'),
      VOUCH_SIGNING_KEY_FILE: join(folder, 'signing.pem'),
      VOUCH_TRUST_FILE: join(this.folder, 'trust.json'),
      VOUCH_MODE: 'development',
      LOG_LEVEL: 'info',
    };
  }

  #auditorEnvironment(): Promise<Record<string, string>> {
    return this.#common({ service: 'auditor', node: '' }).then((common) => ({
      ...common,
      DATABASE_URL: this.databaseUrl('vouch'),
      VOUCH_READER_PASSWORD: READER_PASSWORD,
      VOUCH_LOG_KEY_FILE: join(this.folder, 'log.pem'),
      VOUCH_LOG_ORIGIN: this.authors.trust.log.origin,
    }));
  }

  async #write(name: string, json: unknown): Promise<void> {
    await writeFile(join(this.folder, name), JSON.stringify(json));
  }

  async #run(app: string, args: string[], environment: Promise<Record<string, string>>): Promise<void> {
    const child = this.#spawnWith(app, args, await environment);
    const [code] = (await once(child, 'exit')) as [number | null];
    if (code !== 0) throw new Error(`${app} ${args.join(' ')} ended with ${code}: ${this.#output.get(app)}`);
  }

  #spawn(app: string, args: string[], environment: Record<string, string> | Promise<Record<string, string>>): void {
    void Promise.resolve(environment).then((settings) => {
      this.#processes.set(app, this.#spawnWith(app, args, settings));
    });
  }

  #spawnWith(app: string, args: string[], environment: Record<string, string>): ChildProcess {
    const child = spawn(process.execPath, [entryOf(app), ...args], {
      env: { PATH: process.env.PATH, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const keep = (chunk: Buffer): void => {
      this.#output.set(app, `${this.#output.get(app) ?? ''}${chunk.toString()}`.slice(-200_000));
    };
    child.stdout?.on('data', keep);
    child.stderr?.on('data', keep);
    return child;
  }

  async #until(app: string, holds: () => Promise<boolean>): Promise<void> {
    const deadline = performance.now() + 30_000;
    for (;;) {
      if (await holds().catch(() => false)) return;
      if (performance.now() > deadline) throw new Error(`${app} does not get ready: ${this.#output.get(app)}`);
      await delay(50);
    }
  }

  async #end(name: string, signal: NodeJS.Signals): Promise<void> {
    const child = this.#processes.get(name);
    this.#processes.delete(name);
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  }
}
