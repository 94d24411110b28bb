import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { processVmConfigText, RUNTIME_EVENT_TYPE, runtimeEventDigest } from '@vouch/attestation';

const hex = (byte: string, sizeBytes: number): string => byte.repeat(sizeBytes);

/** Identity that guests of a simulated platform measure. */
export const SIMULATED_GUEST = {
  appId: hex('11', 20),
  composeHash: hex('22', 32),
  instanceId: hex('44', 20),
  osImageHash: hex('66', 32),
  keyProviderId: '3059',
} as const;

/** Evidence of a guest, in the parts of a dstack-verifier request. */
export interface SimulatedEvidence {
  readonly quote: Uint8Array;
  /** JSON text. */
  readonly eventLog: string;
  readonly vmConfig: string;
}

/** The quote simulator as its own process, from its built `dist/main.js`, with one guest that has booted. */
export class SimulatedPlatform {
  #child: ChildProcess | undefined;
  #eventLog = '';
  #pccs = '';
  readonly #vmConfig = processVmConfigText({ osImageHash: SIMULATED_GUEST.osImageHash, vcpu: 1, memoryMiB: 128 });

  private constructor(readonly folder: string) {}

  static async start(): Promise<SimulatedPlatform> {
    const platform = new SimulatedPlatform(await mkdtemp(join(tmpdir(), 'vouch-sim-')));
    await platform.#launch();
    await platform.#boot();
    return platform;
  }

  /** Base URL of the collateral service. */
  get pccs(): string {
    return this.#pccs;
  }

  /** PEM file of the root its quotes and collateral lead to. */
  get rootFile(): string {
    return join(this.folder, 'root-ca.pem');
  }

  rootPem(): Promise<string> {
    return readFile(this.rootFile, 'utf8');
  }

  /** Evidence with this report data (64 bytes). */
  async evidence(reportData: Uint8Array = new Uint8Array(64)): Promise<SimulatedEvidence> {
    const answer = await this.#ask(this.#guestSocket, 'POST', '/quote', {
      reportData: Buffer.from(reportData).toString('hex'),
    });
    const { quote } = answer as { quote: string };
    return { quote: Buffer.from(quote, 'base64'), eventLog: this.#eventLog, vmConfig: this.#vmConfig };
  }

  async stop(): Promise<void> {
    const child = this.#child;
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
    }
    await rm(this.folder, { recursive: true, force: true });
  }

  get #guestSocket(): string {
    return join(this.folder, 'tsm.sock');
  }

  async #launch(): Promise<void> {
    const entry = fileURLToPath(new URL('../../../apps/quote-simulator/dist/main.js', import.meta.url));
    const child = spawn(process.execPath, [entry], {
      env: {
        SIMULATOR_DATA_DIR: this.folder,
        SIMULATOR_ADMIN_SOCKET: join(this.folder, 'admin.sock'),
        SIMULATOR_PCCS_LISTEN: '127.0.0.1:0',
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#child = child;
    const lines = createInterface({ input: child.stdout });
    const ready = new Promise<string>((resolve) => {
      lines.on('line', (text) => {
        const line = JSON.parse(text) as { msg: string; pccs: string };
        if (line.msg === 'ready') resolve(line.pccs);
      });
    });
    const ended = once(lines, 'close').then(() => {
      throw new Error('the simulator ended before it was ready');
    });
    this.#pccs = await Promise.race([ready, ended]);
  }

  /** One guest, with the runtime events of a whole boot. */
  async #boot(): Promise<void> {
    await this.#ask(join(this.folder, 'admin.sock'), 'PUT', `/tds/${SIMULATED_GUEST.instanceId}`, {
      socketPath: this.#guestSocket,
      vmConfig: this.#vmConfig,
      mrConfigId: hex('00', 48),
    });
    const keyProvider = JSON.stringify({ name: 'kms', id: SIMULATED_GUEST.keyProviderId });
    const runtime = [
      ['system-preparing', ''],
      ['app-id', SIMULATED_GUEST.appId],
      ['compose-hash', SIMULATED_GUEST.composeHash],
      ['instance-id', SIMULATED_GUEST.instanceId],
      ['boot-mr-done', ''],
      ['key-provider', Buffer.from(keyProvider).toString('hex')],
      ['system-ready', ''],
    ] as const;
    const events = (await this.#ask(this.#guestSocket, 'GET', '/boot-log')) as unknown[];
    for (const [event, payload] of runtime) {
      const digest = Buffer.from(runtimeEventDigest(event, Buffer.from(payload, 'hex'))).toString('hex');
      await this.#ask(this.#guestSocket, 'POST', '/extend', { rtmr: 3, digest });
      events.push({ imr: 3, event_type: RUNTIME_EVENT_TYPE, digest, event, event_payload: payload });
    }
    this.#eventLog = JSON.stringify(events);
  }

  #ask(socketPath: string, method: string, path: string, body?: unknown): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const call = request({ socketPath, method, path }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString();
          if ((response.statusCode ?? 0) >= 300) reject(new Error(`${method} ${path}: ${response.statusCode} ${text}`));
          else resolve(text === '' ? undefined : JSON.parse(text));
        });
      });
      call.on('error', reject);
      call.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }
}
