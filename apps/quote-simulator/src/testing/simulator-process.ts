import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/** One JSON request over a unix socket. */
export function askSocket(socketPath: string, method: string, path: string, body?: unknown): Promise<Answer> {
  return askSocketRaw(socketPath, method, path, body === undefined ? undefined : JSON.stringify(body));
}

/** The same with the body's exact text. */
export function askSocketRaw(socketPath: string, method: string, path: string, body?: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, method, path }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        resolve({ status: response.statusCode ?? 0, body: text === '' ? undefined : JSON.parse(text) });
      });
    });
    call.on('error', reject);
    call.end(body);
  });
}

/** The simulator as its own process, from the built `dist/main.js`, for tests that kill it. */
export class SimulatorProcess {
  #child: ChildProcess | undefined;
  #pccs = '';

  constructor(
    readonly dataDir: string,
    private readonly environment: Readonly<Record<string, string>> = {},
  ) {}

  static async start(environment: Readonly<Record<string, string>> = {}): Promise<SimulatorProcess> {
    const simulator = new SimulatorProcess(await mkdtemp(join(tmpdir(), 'vouch-sim-')), environment);
    await simulator.start();
    return simulator;
  }

  get adminSocket(): string {
    return join(this.dataDir, 'admin.sock');
  }

  /** Base URL of the collateral service. */
  get pccs(): string {
    return this.#pccs;
  }

  async start(): Promise<void> {
    const child = spawn(process.execPath, [fileURLToPath(new URL('../../dist/main.js', import.meta.url))], {
      env: {
        SIMULATOR_DATA_DIR: this.dataDir,
        SIMULATOR_ADMIN_SOCKET: this.adminSocket,
        SIMULATOR_PCCS_LISTEN: '127.0.0.1:0',
        ...this.environment,
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#child = child;
    const lines = createInterface({ input: child.stdout });
    const ended = once(lines, 'close').then(() => {
      throw new Error('the simulator ended before it was ready');
    });
    // The reader stays: a closed pipe would be another test than most here mean.
    const ready = new Promise<string>((resolve) => {
      lines.on('line', (text) => {
        const line = JSON.parse(text) as { msg: string; pccs: string };
        if (line.msg === 'ready') resolve(line.pccs);
      });
    });
    this.#pccs = await Promise.race([ready, ended]);
  }

  /** Ends the process with a signal; resolves with its exit code, null after SIGKILL. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return null;
    const exited = once(child, 'exit');
    child.kill(signal);
    const [code] = (await exited) as [number | null];
    return code;
  }

  admin(method: string, path: string, body?: unknown): Promise<Answer> {
    return askSocket(this.adminSocket, method, path, body);
  }

  async rootCaPem(): Promise<string> {
    return readFile(join(this.dataDir, 'root-ca.pem'), 'utf8');
  }

  async dispose(): Promise<void> {
    await this.end('SIGKILL');
    await rm(this.dataDir, { recursive: true, force: true });
  }
}
