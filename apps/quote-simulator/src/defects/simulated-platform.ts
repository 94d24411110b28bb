import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomically } from '../atomic-file.js';
import type { PlatformPki } from '../pki/platform-pki.js';
import { QuotingEnclave } from '../quote/quoting-enclave.js';
import type { TdMeasurements } from '../quote/td-report.js';
import { certify } from './certify.js';
import { HEALTHY, isHealthy, type PlatformState, platformStateSchema } from './platform-state.js';

/** The stored state of the platform cannot be used. A wrong guess would make a defective platform look healthy. */
export class PlatformStateCorruptError extends Error {
  readonly code = 'platform-state-corrupt';
  readonly retryable = false;
  constructor(path: string) {
    super(`${path} is damaged; remove it to simulate a healthy platform again`);
    this.name = 'PlatformStateCorruptError';
  }
}

/**
 * The one platform that is simulated: its PKI, its state, and the quoting enclave of that state. The state survives
 * restarts (`platform.json`), since quotes and collateral must go on to tell the same story.
 */
export class SimulatedPlatform {
  #state: PlatformState = HEALTHY;
  #pki: PlatformPki;
  #enclave: QuotingEnclave;

  /** A healthy platform. */
  constructor(
    private readonly genuine: PlatformPki,
    private readonly dataDir: string,
    private readonly now: () => Date,
  ) {
    this.#pki = genuine;
    this.#enclave = new QuotingEnclave(genuine, HEALTHY);
  }

  get state(): PlatformState {
    return this.#state;
  }

  /** Keys and certificates in this state; the root is the same in every one. */
  get pki(): PlatformPki {
    return this.#pki;
  }

  /** A quote over the registers and report data of a TD, in the form and with the defects of this state. */
  quote(td: TdMeasurements): Uint8Array {
    return this.#enclave.quote(td);
  }

  /** Takes the stored state up. Throws PlatformStateCorruptError, or the file system's error. */
  async restore(): Promise<void> {
    const text = await readIfThere(this.#path);
    if (text === undefined) return;
    let stored: PlatformState;
    try {
      stored = platformStateSchema.parse(JSON.parse(text));
    } catch {
      throw new PlatformStateCorruptError(this.#path);
    }
    this.#become(stored);
  }

  /** From the next quote and the next document on, the platform is in this state. */
  async set(state: PlatformState): Promise<void> {
    await writeFileAtomically(this.#path, JSON.stringify(state));
    this.#become(state);
  }

  #become(state: PlatformState): void {
    const pki = isHealthy(state) ? this.genuine : certify(this.genuine, state, this.now());
    this.#enclave = new QuotingEnclave(pki, state);
    this.#pki = pki;
    this.#state = state;
  }

  get #path(): string {
    return join(this.dataDir, 'platform.json');
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
