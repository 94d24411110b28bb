import { mkdir, readdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { processImageHash, processVmConfigText, readProcessImage } from '@vouch/attestation';
import type { TrustFile } from '@vouch/domain';
import { isAlive } from '@vouch/platform';
import { DriverError } from '../driver-error.js';
import type { GuestDriver, GuestPlaces, GuestStatus, Launch } from '../guest-driver.js';
import { assertSocketsFit, type GuestFolder, guestFolder } from './guest-folder.js';
import {
  endGuestProcesses,
  type ProcessRecord,
  readRecord,
  startGuestProcess,
  statusOfLaunch,
} from './guest-process.js';
import { processesOf } from './process-scan.js';
import { mrConfigIdV1, writeSharedFiles } from './shared-files.js';
import { SimulatorClient } from './simulator-client.js';

const POLL_MS = 300;

export interface ProcessDriverOptions {
  readonly hostId: string;
  readonly dataDir: string;
  readonly simulatorSocket: string;
  /** Compiled entry of the guest agent. */
  readonly agentEntry: string;
  readonly trust: TrustFile;
}

/**
 * Runs each guest as a guest-agent process with a folder, sockets and a simulated trust domain of its own: the whole path
 * on a machine without a VM stack. Development only: nothing hides the guest's memory from its host. The agent runs in
 * a session of its own and outlives the worker; what runs is read from the process table, never only remembered.
 */
export class ProcessDriver implements GuestDriver {
  readonly name = 'process';
  readonly unsafe = ['unsafeProcessGuest'];
  readonly #simulator: SimulatorClient;
  readonly #watched = new Map<string, ProcessRecord>();
  readonly #poll: NodeJS.Timeout;
  #listener: (instanceId: string) => void = () => undefined;

  constructor(private readonly options: ProcessDriverOptions) {
    this.#simulator = new SimulatorClient(options.simulatorSocket);
    this.#poll = setInterval(() => this.#lookForEnded(), POLL_MS);
    this.#poll.unref();
  }

  async osImageHash(): Promise<string> {
    const folder = dirname(this.options.agentEntry);
    try {
      return processImageHash(await readProcessImage(folder));
    } catch (cause) {
      const message = `GUEST_AGENT_ENTRY: the guest image ${folder} cannot be measured: ${(cause as Error).message}`;
      throw new DriverError('guest-image-unreadable', message, true, { cause });
    }
  }

  places(instanceId: string): GuestPlaces {
    const folder = this.#folder(instanceId);
    return { hostSocket: folder.hostSocket, logs: { app: folder.appLog, agent: folder.agentLog } };
  }

  async prepare({ id, spec }: Launch): Promise<void> {
    const folder = this.#folder(spec.instanceId);
    assertSocketsFit(folder);
    await mkdir(folder.guest, { recursive: true, mode: 0o700 });
    const vmConfig = processVmConfigText({
      osImageHash: await this.osImageHash(),
      vcpu: spec.resources.vcpu,
      memoryMiB: spec.resources.memoryMiB,
    });
    await writeSharedFiles(folder.shared, { spec, hostId: this.options.hostId, trust: this.options.trust, vmConfig });
    await this.#simulator.put(spec.instanceId, {
      socketPath: folder.tsmSocket,
      vmConfig,
      mrConfigId: mrConfigIdV1(spec.composeHash),
      launchId: id,
    });
  }

  async launch({ id, spec }: Launch): Promise<void> {
    const folder = this.#folder(spec.instanceId);
    if ((await this.#statusOf(folder, spec.instanceId, id)).state === 'running') return;
    if (processesOf(folder).length > 0) await endGuestProcesses(folder, 0);
    await this.#removeOldExits(folder);
    const command = [
      process.execPath,
      this.options.agentEntry,
      ...['--shared', folder.shared],
      ...['--host-socket', folder.hostSocket],
      ...['--tsm-socket', folder.tsmSocket],
      ...['--listen', folder.dstackSocket],
      ...['--state', folder.guest],
      ...['--address', spec.address],
    ];
    const record = await startGuestProcess(folder, id, command, () => this.#listener(spec.instanceId));
    this.#watched.set(spec.instanceId, record);
  }

  async status({ id, spec }: Launch): Promise<GuestStatus> {
    return await this.#statusOf(this.#folder(spec.instanceId), spec.instanceId, id);
  }

  async stop(instanceId: string, { graceMs }: { readonly graceMs: number }): Promise<void> {
    this.#watched.delete(instanceId);
    await endGuestProcesses(this.#folder(instanceId), graceMs);
  }

  async remove(instanceId: string): Promise<void> {
    const folder = this.#folder(instanceId);
    await endGuestProcesses(folder, 0);
    this.#watched.delete(instanceId);
    await this.#simulator.remove(instanceId);
    await rm(folder.root, { recursive: true, force: true });
  }

  onChange(listener: (instanceId: string) => void): void {
    this.#listener = listener;
  }

  close(): void {
    clearInterval(this.#poll);
  }

  #folder(instanceId: string): GuestFolder {
    return guestFolder(this.options.dataDir, instanceId);
  }

  async #statusOf(folder: GuestFolder, instanceId: string, launchId: string): Promise<GuestStatus> {
    const status = await statusOfLaunch(folder, launchId);
    if (status.state === 'running' && !this.#watched.has(instanceId)) {
      const record = await readRecord(folder);
      if (record !== undefined) this.#watched.set(instanceId, record);
    }
    return status;
  }

  /** An adopted guest is nobody's child here: its end shows only in the process table. */
  #lookForEnded(): void {
    for (const [instanceId, record] of this.#watched) {
      if (isAlive(record)) continue;
      this.#watched.delete(instanceId);
      this.#listener(instanceId);
    }
  }

  async #removeOldExits(folder: GuestFolder): Promise<void> {
    for (const name of await readdir(folder.root)) {
      if (name.startsWith('exit-')) await rm(join(folder.root, name), { force: true });
    }
  }
}
