import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type KV, Kvm } from '@nats-io/kv';
import type { NatsConnection } from '@nats-io/transport-node';
import { type AppId, composeHashOf, type DesiredGuest, instanceIdOf } from '@vouch/domain';
import { JetStreamEventStore, type StoredEvent } from '@vouch/eventstore';
import { makeTestAuthors, startTestBus, type TestAuthors, type TestBus } from '@vouch/testkit';
import { guestFolder } from '../driver/process/guest-folder.js';
import { endGuestProcesses } from '../driver/process/guest-process.js';
import { processesOf } from '../driver/process/process-scan.js';
import { FakeSimulator } from './fake-simulator.js';

const HOST = 'host-1';
const USER = { service: 'host-worker', node: HOST } as const;
const built = (path: string): string => fileURLToPath(new URL(`../../dist/${path}`, import.meta.url));

/** A worker process with a real bus under its real permissions, a fake simulator, and guests of the tiny agent. */
export class WorkerBench {
  readonly lines: Record<string, unknown>[] = [];
  #child: ChildProcess | undefined;
  /** Every worker ever started: none may outlive the bench, whatever a test did. */
  readonly #workers: ChildProcess[] = [];
  #exit: Promise<number | null> = Promise.resolve(null);

  private constructor(
    readonly root: string,
    readonly bus: TestBus,
    readonly authors: TestAuthors,
    readonly simulator: FakeSimulator,
    readonly control: NatsConnection,
    readonly kms: NatsConnection,
    readonly desired: KV,
    readonly store: JetStreamEventStore,
  ) {}

  static async open(): Promise<WorkerBench> {
    const root = await mkdtemp(join(tmpdir(), 'vw-'));
    const bus = await startTestBus();
    const authors = makeTestAuthors();
    const control = await bus.connect({ service: 'control-api', node: '' });
    const kms = await bus.connect({ service: 'kms', node: '' });
    const desired = await new Kvm(control).open('desired', { allow_direct: true });
    const store = new JetStreamEventStore({ connection: control, directory: authors.directory });
    const simulator = new FakeSimulator(join(root, 'sim.sock'));
    await simulator.start();
    await mkdir(join(root, 'agent'));
    await mkdir(join(root, 'data'));
    await copyFile(built('testing/tiny-agent.js'), join(root, 'agent/main.js'));
    await writeFile(join(root, 'agent/package.json'), '{"type":"module"}');
    await writeFile(join(root, 'trust.json'), JSON.stringify(authors.trust));
    await writeFile(join(root, 'seed'), bus.seedOf(USER));
    const pem = authors.of('host-worker', HOST).privateKey.export({ type: 'pkcs8', format: 'pem' });
    await writeFile(join(root, 'key.pem'), pem);
    return new WorkerBench(root, bus, authors, simulator, control, kms, desired, store);
  }

  get dataDir(): string {
    return join(this.root, 'data');
  }

  /** Starts the worker and waits until it says ready. */
  async startWorker(more: NodeJS.ProcessEnv = {}): Promise<void> {
    this.lines.length = 0;
    const child = spawn(process.execPath, [built('main.js')], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env.PATH, ...this.#environment(), ...more },
    });
    this.#child = child;
    this.#workers.push(child);
    let stderr = '';
    let rest = '';
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
    });
    const ready = new Promise<void>((resolve) => {
      child.stdout.on('data', (chunk: Buffer) => {
        const parts = (rest + chunk.toString()).split('\n');
        rest = parts.pop() ?? '';
        for (const part of parts) {
          const line = JSON.parse(part) as Record<string, unknown>;
          this.lines.push(line);
          if (line.msg === 'ready') resolve();
        }
      });
    });
    this.#exit = new Promise((resolve) => child.once('close', resolve));
    await Promise.race([
      ready,
      this.#exit.then((code) => {
        throw new Error(`the worker ended with ${code}: ${stderr}`);
      }),
    ]);
  }

  /** Ends the worker process by the signal; guests are not touched by this. */
  async endWorker(signal: NodeJS.Signals): Promise<number | null> {
    this.#child?.kill(signal);
    return await this.#exit;
  }

  async close(): Promise<void> {
    for (const worker of this.#workers) {
      if (worker.exitCode === null && worker.signalCode === null) {
        const over = once(worker, 'exit');
        worker.kill('SIGKILL');
        await over;
      }
    }
    for (const name of await readdir(join(this.dataDir, 'guests')).catch(() => [])) {
      await endGuestProcesses(guestFolder(this.dataDir, name), 0);
    }
    await this.simulator.stop();
    await this.bus.stop();
    await rm(this.root, { recursive: true, force: true });
  }

  /** A desired guest whose app-compose tells the tiny agent what to do. */
  guest(test: object = {}, more: Partial<DesiredGuest> = {}): DesiredGuest {
    const seed = randomBytes(20).toString('hex');
    const appId = randomBytes(20).toString('hex') as AppId;
    const appCompose = JSON.stringify({ manifest_version: 2, name: 'tiny', runner: 'bash', bash_script: 'true', test });
    return {
      instanceId: instanceIdOf(seed, appId),
      appId,
      releaseId: createHash('md5').update(appId).digest('hex'),
      epoch: 1,
      desired: 'running',
      appCompose,
      composeHash: composeHashOf(Buffer.from(appCompose)),
      seed,
      address: '127.9.0.2',
      ports: [8080],
      resources: { vcpu: 1, memoryMiB: 512, diskGiB: 1 },
      encryptedEnv: '',
      ...more,
    };
  }

  async wish(guest: DesiredGuest): Promise<void> {
    await this.desired.put(`${HOST}.${guest.instanceId}`, JSON.stringify(guest));
  }

  async withdraw({ instanceId }: DesiredGuest): Promise<void> {
    await this.desired.delete(`${HOST}.${instanceId}`);
  }

  folder({ instanceId }: DesiredGuest): string {
    return join(this.dataDir, 'guests', instanceId);
  }

  /** What the guest's agents noted, over all its starts. */
  async notes(guest: DesiredGuest): Promise<Record<string, unknown>[]> {
    const text = await readFile(join(this.folder(guest), 'guest/notes.jsonl'), 'utf8').catch(() => '');
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  }

  async events({ instanceId }: DesiredGuest): Promise<StoredEvent[]> {
    return await this.store.readSubject(`evt.vm.${HOST}.${instanceId}`);
  }

  async types(guest: DesiredGuest): Promise<string[]> {
    return (await this.events(guest)).map(({ envelope }) => envelope.type);
  }

  processes(guest: DesiredGuest): number[] {
    return processesOf(guestFolder(this.dataDir, guest.instanceId)).map(({ identity }) => identity.pid);
  }

  #environment(): NodeJS.ProcessEnv {
    return {
      NATS_URL: this.bus.url,
      VOUCH_NATS_SEED_FILE: join(this.root, 'seed'),
      VOUCH_SIGNING_KEY_FILE: join(this.root, 'key.pem'),
      VOUCH_TRUST_FILE: join(this.root, 'trust.json'),
      VOUCH_NODE: HOST,
      VOUCH_MODE: 'development',
      HOST_DATA_DIR: this.dataDir,
      HOST_DRIVER: 'process',
      SIMULATOR_ADMIN_SOCKET: this.simulator.socketPath,
      GUEST_AGENT_ENTRY: join(this.root, 'agent/main.js'),
      HOST_VCPU: '8',
      HOST_MEMORY_MIB: '8192',
      HOST_STOP_GRACE_SECONDS: '2',
    };
  }
}
