import { setTimeout as sleep } from 'node:timers/promises';
import type { LocalServer } from '@vouch/platform/local-servers';

type Starter = (port: number) => Promise<LocalServer>;

interface Entry {
  readonly name: string;
  readonly version: string;
  readonly start: Starter;
  server: LocalServer;
}

const RESTART_PAUSE_MS = 500;
const RESTART_ATTEMPTS = 5;

/** The servers this stack brought itself. One that dies is started again on its port and data; all stop in reverse order. */
export class LocalServerSet {
  readonly #entries: Entry[] = [];
  #stopping = false;

  constructor(private readonly onTrouble: (message: string) => void) {}

  async start(name: string, version: string, port: number, start: Starter): Promise<LocalServer> {
    const entry: Entry = { name, version, start, server: await start(port) };
    this.#entries.push(entry);
    void this.#watch(entry);
    return entry.server;
  }

  describe(): readonly { name: string; pid: number; version: string }[] {
    return this.#entries.map(({ name, version, server }) => ({ name, version, pid: server.pid }));
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    for (const { server } of [...this.#entries].reverse()) await server.stop();
    this.#entries.length = 0;
  }

  async #watch(entry: Entry): Promise<void> {
    for (;;) {
      const { code, signal } = await entry.server.exited;
      if (this.#stopping) return;
      this.onTrouble(`${entry.name} ended (${signal ?? `exit ${code}`}); starting it again`);
      if (!(await this.#restart(entry))) return;
    }
  }

  async #restart(entry: Entry): Promise<boolean> {
    for (let attempt = 1; attempt <= RESTART_ATTEMPTS && !this.#stopping; attempt += 1) {
      await sleep(RESTART_PAUSE_MS * attempt);
      try {
        entry.server = await entry.start(entry.server.port);
        return true;
      } catch (error) {
        this.onTrouble(`${entry.name} did not start again (attempt ${attempt}): ${(error as Error).message}`);
      }
    }
    return false;
  }
}
