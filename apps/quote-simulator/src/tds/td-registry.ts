import { lstat, stat } from 'node:fs/promises';
import type { Server } from 'node:http';
import { dirname } from 'node:path';
import { jsonService, RequestRefusedError } from '../http/json-service.js';
import { closeServer, ListenerTakenError, listenOnSocket, NotASocketError } from '../http/listen.js';
import type { Log } from '../log.js';
import { guestChannel } from './guest-channel.js';
import { machineOf, type TdDefinition } from './td-definition.js';
import { type StoredTd, TdFiles } from './td-files.js';
import { type Quoter, TrustDomain } from './trust-domain.js';

interface Running {
  td: TrustDomain;
  channel: Server | undefined;
}

/** All TDs of the simulated platform with their guest channels. Changes run one after another. */
export class TdRegistry {
  readonly #running = new Map<string, Running>();
  readonly #files: TdFiles;
  #last: Promise<unknown> = Promise.resolve();

  constructor(
    dataDir: string,
    private readonly quoter: Quoter,
    private readonly log: Log,
  ) {
    this.#files = new TdFiles(dataDir);
  }

  get size(): number {
    return this.#running.size;
  }

  /** Takes up the TDs of the state files and opens their channels. Throws TdStateCorruptError. */
  async restore(): Promise<void> {
    for (const stored of await this.#files.all()) {
      const running: Running = { td: this.#trustDomain(stored), channel: undefined };
      this.#running.set(stored.instanceId, running);
      try {
        await this.#open(running);
      } catch (error) {
        // Its folder may be gone with its guest; the others must still come up. A later PUT opens the channel.
        this.log.warn('guest channel not opened', { instanceId: stored.instanceId, error });
      }
    }
  }

  /**
   * Creates a TD, or answers the same again for the same definition. A new `launchId` starts it anew: measured from
   * `definition`, RTMR3 zero. Throws RequestRefusedError when it differs otherwise, or its socket cannot be opened.
   */
  put(instanceId: string, definition: TdDefinition): Promise<TrustDomain> {
    return this.#inTurn(async () => {
      machineOf(definition);
      await this.#requireSocketFree(instanceId, definition.socketPath);
      const running = this.#running.get(instanceId);
      if (running === undefined) return this.#start(instanceId, definition);
      if (running.td.definition.launchId !== definition.launchId) {
        await this.#close(running);
        return this.#start(instanceId, definition);
      }
      if (!sameDefinition(running.td.definition, definition)) {
        throw new RequestRefusedError(
          409,
          'td-differs',
          `TD ${instanceId} runs with another definition; a relaunch needs a new launchId`,
        );
      }
      if (running.channel === undefined || !(await isSocket(definition.socketPath))) {
        await this.#close(running);
        await this.#open(running);
      }
      return running.td;
    });
  }

  get(instanceId: string): TrustDomain | undefined {
    return this.#running.get(instanceId)?.td;
  }

  ids(): string[] {
    return [...this.#running.keys()].sort();
  }

  /** Ends a TD: its channel and its registers are gone. Returns false when there was none. */
  remove(instanceId: string): Promise<boolean> {
    return this.#inTurn(async () => {
      const running = this.#running.get(instanceId);
      if (running === undefined) return false;
      await this.#close(running);
      await this.#files.remove(instanceId);
      this.#running.delete(instanceId);
      return true;
    });
  }

  /** Closes every channel and removes its socket; TDs and registers stay on disk. */
  close(): Promise<void> {
    return this.#inTurn(async () => {
      await Promise.all([...this.#running.values()].map((running) => this.#close(running)));
    });
  }

  async #start(instanceId: string, definition: TdDefinition): Promise<TrustDomain> {
    const stored: StoredTd = { instanceId, definition, rtMr3: new Uint8Array(48) };
    const running: Running = { td: this.#trustDomain(stored), channel: undefined };
    await this.#open(running);
    try {
      await this.#files.write(stored);
    } catch (error) {
      await this.#close(running);
      throw error;
    }
    this.#running.set(instanceId, running);
    return running.td;
  }

  #trustDomain(stored: StoredTd): TrustDomain {
    const { instanceId, definition } = stored;
    return new TrustDomain(definition, stored.rtMr3, (rtMr3) => {
      // An extension that was still queued when its TD was relaunched or removed must not write the old state back.
      if (this.#running.get(instanceId)?.td.definition !== definition) {
        throw new RequestRefusedError(410, 'td-gone', `TD ${instanceId} was relaunched or removed`);
      }
      return this.#files.write({ instanceId, definition, rtMr3 });
    });
  }

  async #open(running: Running): Promise<void> {
    const channel = jsonService(
      guestChannel(() => running.td, this.quoter),
      (error) => this.log.error('guest channel failed', { error }),
    );
    const { socketPath } = running.td.definition;
    try {
      await listenOnSocket(channel, socketPath);
    } catch (error) {
      if (error instanceof ListenerTakenError || error instanceof NotASocketError) {
        throw new RequestRefusedError(409, error.code, `socketPath: ${error.message}`);
      }
      throw error;
    }
    running.channel = channel;
  }

  async #close(running: Running): Promise<void> {
    if (running.channel !== undefined) await closeServer(running.channel);
    running.channel = undefined;
  }

  async #requireSocketFree(instanceId: string, socketPath: string): Promise<void> {
    for (const [other, { td }] of this.#running) {
      if (other !== instanceId && td.definition.socketPath === socketPath) {
        throw new RequestRefusedError(409, 'listener-taken', `socketPath: TD ${other} uses ${socketPath}`);
      }
    }
    const folder = await stat(dirname(socketPath)).catch(() => undefined);
    if (folder?.isDirectory() !== true) {
      throw new RequestRefusedError(409, 'socket-folder-missing', `socketPath: ${dirname(socketPath)} is no folder`);
    }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work);
    this.#last = turn.catch(() => undefined);
    return turn;
  }
}

function sameDefinition(a: TdDefinition, b: TdDefinition): boolean {
  return a.socketPath === b.socketPath && a.vmConfig === b.vmConfig && a.mrConfigId === b.mrConfigId;
}

async function isSocket(path: string): Promise<boolean> {
  return lstat(path).then(
    (entry) => entry.isSocket(),
    () => false,
  );
}
