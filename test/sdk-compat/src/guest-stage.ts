import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { processVmConfigText } from '@vouch/attestation';
import { composeHashOf, instanceIdOf, appId as parseAppId, type TrustFile } from '@vouch/domain';
import { FakeHost } from './fake-host.js';
import { FakeKms } from './fake-kms.js';

const SIMULATOR = fileURLToPath(new URL('../../../apps/quote-simulator/dist/main.js', import.meta.url));
const AGENT = fileURLToPath(new URL('../../../apps/guest-agent/dist/main.js', import.meta.url));
const HOST_ID = 'test-host';
const EPOCH = 3;

export interface GuestOptions {
  /** Exact text of app-compose.json, or the object to write as JSON. */
  readonly compose?: string | Readonly<Record<string, unknown>>;
  readonly ports?: readonly number[];
  readonly address?: string;
  readonly trust?: TrustFile;
  readonly encryptedEnv?: Uint8Array;
}

/** A real quote simulator in a folder of its own, and guests with real agents on it. */
export class GuestStage {
  readonly kms = new FakeKms();
  readonly #guests: Guest[] = [];

  private constructor(
    readonly folder: string,
    private readonly simulator: ChildProcess,
  ) {}

  static async open(): Promise<GuestStage> {
    const folder = await mkdtemp(join(tmpdir(), 'vg-'));
    const simulator = spawn(process.execPath, [SIMULATOR], {
      env: {
        ...process.env,
        SIMULATOR_DATA_DIR: join(folder, 'sim'),
        SIMULATOR_ADMIN_SOCKET: join(folder, 'sim.sock'),
        SIMULATOR_PCCS_LISTEN: '127.0.0.1:0',
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await lineWith(simulator, '"ready"');
    return new GuestStage(folder, simulator);
  }

  async guest(options: GuestOptions = {}): Promise<Guest> {
    const folder = join(this.folder, `g${this.#guests.length}`);
    const guest = new Guest(folder, this.kms, join(this.folder, 'sim.sock'), options);
    await guest.prepare();
    this.#guests.push(guest);
    return guest;
  }

  async close(): Promise<void> {
    for (const guest of this.#guests) await guest.close();
    this.simulator.kill('SIGTERM');
    await once(this.simulator, 'exit');
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** One guest: its folders, its host and, once started, its agent process. */
export class Guest {
  readonly appId = '11'.repeat(20);
  readonly seed = randomBytes(20).toString('hex');
  readonly instanceId = instanceIdOf(this.seed, parseAppId(this.appId));
  readonly composeText: string;
  readonly composeHash: string;
  readonly host: FakeHost;
  readonly dstackSocket: string;
  readonly state: string;
  #agent: ChildProcess | undefined;
  #launches = 0;

  constructor(
    readonly folder: string,
    private readonly kms: FakeKms,
    private readonly adminSocket: string,
    private readonly options: GuestOptions,
  ) {
    const compose = options.compose ?? {
      manifest_version: 2,
      name: 'test',
      runner: 'bash',
      bash_script: 'echo started',
    };
    this.composeText = typeof compose === 'string' ? compose : JSON.stringify(compose);
    this.composeHash = composeHashOf(Buffer.from(this.composeText));
    this.host = new FakeHost(join(folder, 'host.sock'));
    this.dstackSocket = join(folder, 'dstack.sock');
    this.state = join(folder, 'guest');
    this.host.decide = ({ requestId, claims }) => kms.grant(requestId, claims, this.composeHash);
    this.host.certify = (request) => kms.certify(request, this.instanceId);
  }

  async prepare(): Promise<void> {
    const shared = join(this.folder, 'shared');
    await mkdir(shared, { recursive: true });
    const vouch = {
      trust: this.options.trust ?? this.kms.trust(),
      hostId: HOST_ID,
      epoch: EPOCH,
      ports: this.options.ports ?? [],
    };
    await writeFile(join(shared, 'app-compose.json'), this.composeText);
    await writeFile(join(shared, '.sys-config.json'), JSON.stringify({ vm_config: this.vmConfig, vouch }));
    const info = { instance_id_seed: this.seed, app_id: this.appId, instance_id: this.instanceId };
    await writeFile(join(shared, '.instance_info'), JSON.stringify(info));
    if (this.options.encryptedEnv !== undefined) {
      await writeFile(join(shared, '.encrypted-env'), this.options.encryptedEnv);
    }
    await this.host.start();
    await this.launch();
  }

  get vmConfig(): string {
    return processVmConfigText({ osImageHash: this.kms.osImageHash, vcpu: 1, memoryMiB: 256 });
  }

  /** Tells the simulator that the guest is launched anew: RTMR3 starts at zero. */
  async launch(mrConfigId = `01${this.composeHash}${'00'.repeat(15)}`): Promise<void> {
    this.#launches += 1;
    const body = {
      socketPath: join(this.folder, 'tsm.sock'),
      vmConfig: this.vmConfig,
      mrConfigId,
      launchId: String(this.#launches),
    };
    const status = await put(this.adminSocket, `/tds/${this.instanceId}`, body);
    if (status !== 200) throw new Error(`the simulator answered ${status}`);
  }

  /** Starts the agent and returns its process. */
  start(): ChildProcess {
    const at = (name: string): string => join(this.folder, name);
    const args = ['--shared', at('shared'), '--host-socket', at('host.sock'), '--tsm-socket', at('tsm.sock')];
    args.push('--listen', this.dstackSocket, '--state', this.state, '--address', this.options.address ?? '127.0.0.1');
    const agent = spawn(process.execPath, [AGENT, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    agent.stdout?.resume();
    this.#agent = agent;
    return agent;
  }

  async startHealthy(): Promise<ChildProcess> {
    const agent = this.start();
    const before = this.host.healthyReports.length;
    await this.host.until(() => this.host.healthyReports.length > before);
    return agent;
  }

  async appLog(): Promise<string> {
    return await readFile(join(this.folder, 'app.log'), 'utf8');
  }

  /** Ends the agent with `signal` and returns its exit code. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    const agent = this.#agent;
    this.#agent = undefined;
    if (agent === undefined) return null;
    const exited = exitOf(agent);
    agent.kill(signal);
    return await exited;
  }

  async close(): Promise<void> {
    await this.stop('SIGKILL');
    await this.host.stop();
  }
}

/** Exit code of a process, also when it ended already. */
export async function exitOf(child: ChildProcess): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return child.exitCode;
}

/** Waits for a line of standard output that holds `text`; fails when the process ends first. */
async function lineWith(child: ChildProcess, text: string): Promise<void> {
  if (child.stdout === null) throw new Error('standard output is not piped');
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.includes(text)) {
      child.stdout.resume();
      return;
    }
  }
  throw new Error(`the process ended without ${text}`);
}

function put(socketPath: string, path: string, body: unknown): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json' };
    const call = request({ socketPath, path, method: 'PUT', headers }, (answer) => {
      answer.resume();
      answer.on('end', () => resolve(answer.statusCode));
    });
    call.on('error', reject);
    call.end(JSON.stringify(body));
  });
}
