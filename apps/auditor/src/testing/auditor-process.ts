import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from '@vouch/platform/local-servers';
import type { TestAuthors, TestBus } from '@vouch/testkit';

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const READY_POLL_MS = 50;

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The auditor as it is deployed: its own process, its own NATS user, files for keys, a free port for health. */
export class AuditorProcess {
  #service: ChildProcess | undefined;
  #log = '';

  private constructor(
    private readonly folder: string,
    private readonly environment: Readonly<Record<string, string>>,
    readonly httpUrl: string,
  ) {}

  static async prepare(bus: TestBus, authors: TestAuthors, databaseUrl: string): Promise<AuditorProcess> {
    const folder = await mkdtemp(join(tmpdir(), 'vouch-auditor-'));
    const file = async (name: string, content: string | Uint8Array) => {
      const path = join(folder, name);
      await writeFile(path, content, { mode: 0o600 });
      return path;
    };
    const port = await freePort();
    const environment = {
      NATS_URL: bus.url,
      VOUCH_NATS_SEED_FILE: await file('nats.seed', bus.seedOf({ service: 'auditor', node: '' })),
      VOUCH_TRUST_FILE: await file('trust.json', JSON.stringify(authors.trust)),
      VOUCH_MODE: 'development',
      VOUCH_HEALTH_LISTEN: `127.0.0.1:${port}`,
      DATABASE_URL: databaseUrl,
      VOUCH_LOG_KEY_FILE: await file(
        'log.pem',
        authors.logPrivateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
      ),
      VOUCH_LOG_ORIGIN: authors.trust.log.origin,
    };
    return new AuditorProcess(folder, environment, `http://127.0.0.1:${port}`);
  }

  /** A file in the folder of this auditor. */
  path(name: string): string {
    return join(this.folder, name);
  }

  /** What the service wrote so far. */
  get log(): string {
    return this.#log;
  }

  /** Runs a sub-command to its end. */
  async run(args: readonly string[], more: Readonly<Record<string, string>> = {}): Promise<Finished> {
    const child = spawn(process.execPath, [MAIN, ...args], { env: { ...this.environment, ...more } });
    const output = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (text: string) => {
        output[name] += text;
      });
    }
    const [code] = (await once(child, 'close')) as [number | null];
    return { code, ...output };
  }

  /** Starts the service and waits until it says that it is ready. */
  async start(): Promise<void> {
    const child = spawn(process.execPath, [MAIN], { env: this.environment, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#service = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#log += text;
      });
    }
    while (!(await this.#isReady())) {
      if (child.exitCode !== null) throw new Error(`the auditor ended with ${child.exitCode}: ${this.#log}`);
      await new Promise((resolve) => setTimeout(resolve, READY_POLL_MS));
    }
  }

  /** Sends a signal and returns the exit code; null when the signal ended it. */
  async end(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#service;
    if (child === undefined) throw new Error('the auditor does not run');
    child.kill(signal);
    return await this.exited();
  }

  /** Waits until the service ends by itself. */
  async exited(): Promise<number | null> {
    const child = this.#service;
    if (child === undefined) throw new Error('the auditor does not run');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    this.#service = undefined;
    return child.exitCode;
  }

  async remove(): Promise<void> {
    if (this.#service !== undefined) await this.end('SIGKILL');
    await rm(this.folder, { recursive: true, force: true });
  }

  async #isReady(): Promise<boolean> {
    const response = await fetch(`${this.httpUrl}/readyz`).catch(() => undefined);
    return response?.ok === true;
  }
}
