import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { writeFileAtomically } from '../atomic-file.js';
import { type TdDefinition, tdDefinitionSchema } from './td-definition.js';

const storedSchema = z.strictObject({
  version: z.literal(1),
  definition: tdDefinitionSchema,
  /** 48 bytes, hex. */
  rtMr3: z.string().regex(/^[0-9a-f]{96}$/),
});

export interface StoredTd {
  readonly instanceId: string;
  readonly definition: TdDefinition;
  readonly rtMr3: Uint8Array;
}

/** A TD's state file cannot be read. Its registers are gone; giving it fresh ones would forge a measurement. */
class TdStateCorruptError extends Error {
  readonly code = 'td-state-corrupt';
  readonly retryable = false;
  constructor(path: string, options?: ErrorOptions) {
    super(`${path} is damaged; remove it, then relaunch the guest`, options);
    this.name = 'TdStateCorruptError';
  }
}

const FILE = /^([0-9a-f]{40})\.json$/;

/** State files, one per TD (`tds/<instanceId>.json`), each replaced atomically. */
export class TdFiles {
  readonly #folder: string;

  constructor(dataDir: string) {
    this.#folder = join(dataDir, 'tds');
  }

  /** Every stored TD. Throws TdStateCorruptError. */
  async all(): Promise<StoredTd[]> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const stored: StoredTd[] = [];
    for (const name of (await readdir(this.#folder)).sort()) {
      const instanceId = FILE.exec(name)?.[1];
      if (instanceId !== undefined) stored.push(await this.#read(instanceId));
    }
    return stored;
  }

  async write(td: StoredTd): Promise<void> {
    const { definition, rtMr3 } = td;
    const content = { version: 1, definition, rtMr3: Buffer.from(rtMr3).toString('hex') };
    await writeFileAtomically(this.#path(td.instanceId), JSON.stringify(content));
  }

  async remove(instanceId: string): Promise<void> {
    await rm(this.#path(instanceId), { force: true });
  }

  async #read(instanceId: string): Promise<StoredTd> {
    const path = this.#path(instanceId);
    const text = await readFile(path, 'utf8');
    try {
      const { definition, rtMr3 } = storedSchema.parse(JSON.parse(text));
      return { instanceId, definition, rtMr3: Buffer.from(rtMr3, 'hex') };
    } catch (cause) {
      throw new TdStateCorruptError(path, { cause });
    }
  }

  #path(instanceId: string): string {
    return join(this.#folder, `${instanceId}.json`);
  }
}
