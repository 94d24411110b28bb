import { mkdir, readdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { HEX20 } from '@vouch/domain';
import { removeFileDurably, writeFileAtomically } from '../atomic-file.js';
import { type GuestJournal, guestJournalSchema } from './guest-journal.js';

/**
 * The journals of this host: in memory and, always first, on disk (`<folder>/<instanceId>.json`). Changes of one guest are
 * made one after the other, each on the latest value.
 */
export class JournalStore {
  readonly #journals = new Map<string, GuestJournal>();
  readonly #queues = new Map<string, Promise<unknown>>();

  private constructor(private readonly folder: string) {}

  /**
   * Opens the folder and reads every journal. One that cannot be read is set aside as `<name>.unreadable` and reported:
   * its guest is then found by the driver and begun anew by the desired state.
   */
  static async open(folder: string, onUnreadable: (file: string, reason: string) => void): Promise<JournalStore> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const store = new JournalStore(folder);
    for (const name of await readdir(folder)) {
      const instanceId = name.endsWith('.json') ? name.slice(0, -'.json'.length) : '';
      if (!HEX20.test(instanceId)) continue;
      const path = join(folder, name);
      try {
        const journal = guestJournalSchema.parse(JSON.parse(await readFile(path, 'utf8')));
        if (journal.spec.instanceId !== instanceId) throw new TypeError(`holds instance ${journal.spec.instanceId}`);
        store.#journals.set(instanceId, journal);
      } catch (error) {
        await rename(path, `${path}.unreadable`);
        onUnreadable(path, (error as Error).message);
      }
    }
    return store;
  }

  get(instanceId: string): GuestJournal | undefined {
    return this.#journals.get(instanceId);
  }

  ids(): string[] {
    return [...this.#journals.keys()];
  }

  /** Writes a new journal over whatever there is. */
  async put(instanceId: string, journal: GuestJournal): Promise<void> {
    await this.#inTurn(instanceId, () => this.#write(instanceId, journal));
  }

  /** Applies a transition to the latest value; durable when it resolves. Without a journal nothing happens. */
  async update(instanceId: string, change: (journal: GuestJournal) => GuestJournal): Promise<void> {
    await this.#inTurn(instanceId, async () => {
      const journal = this.#journals.get(instanceId);
      if (journal === undefined) return;
      const next = change(journal);
      if (next !== journal) await this.#write(instanceId, next);
    });
  }

  async delete(instanceId: string): Promise<void> {
    await this.#inTurn(instanceId, async () => {
      await removeFileDurably(this.#path(instanceId));
      this.#journals.delete(instanceId);
    });
  }

  async #write(instanceId: string, journal: GuestJournal): Promise<void> {
    await writeFileAtomically(this.#path(instanceId), JSON.stringify(journal));
    this.#journals.set(instanceId, journal);
  }

  #inTurn(instanceId: string, work: () => Promise<void>): Promise<void> {
    const turn = (this.#queues.get(instanceId) ?? Promise.resolve()).catch(() => undefined).then(work);
    this.#queues.set(instanceId, turn);
    void turn
      .finally(() => {
        if (this.#queues.get(instanceId) === turn) this.#queues.delete(instanceId);
      })
      .catch(() => undefined);
    return turn;
  }

  #path(instanceId: string): string {
    return join(this.folder, `${instanceId}.json`);
  }
}
