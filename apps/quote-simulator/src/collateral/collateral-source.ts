import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { writeFileAtomically } from '../atomic-file.js';
import { isHealthy, type PlatformState } from '../defects/platform-state.js';
import type { SimulatedPlatform } from '../defects/simulated-platform.js';
import { type Collateral, signCollateral } from './sign-collateral.js';
import { isStale, type ValidityWindow, windowAt } from './validity-window.js';

const base64 = z.base64();
const iso = z.iso.datetime();
const documentsSchema = z.strictObject({ tcbInfo: z.string(), qeIdentity: z.string() });
const generationSchema = z.strictObject({
  version: z.literal(2),
  /** SHA-256 of the root certificate it chains to, hex: a generation of another PKI is never served. */
  root: z.string(),
  /** CRL number: seconds since the epoch, or one more than the last, so that it grows even when this file is lost. */
  number: z.number().int().positive(),
  window: z.strictObject({ issueDate: iso, nextUpdate: iso }),
  tdx: documentsSchema,
  sgx: documentsSchema,
  /** DER, base64. */
  rootCrl: base64,
  platformCrl: base64,
  processorCrl: base64,
});

type Generation = z.infer<typeof generationSchema>;

/** Collateral of a platform with defects, kept in memory only. */
interface DefectiveGeneration {
  readonly state: PlatformState;
  readonly window: ValidityWindow;
  readonly collateral: Collateral;
}

/**
 * Signs TCB infos, QE identities and CRLs, and signs them again a day after issue, far ahead of their expiry. A generation
 * of the healthy platform is kept on disk, so that a restart serves the same bytes (a new signature would be a new
 * collateral digest downstream). A platform with defects gets documents of its own.
 */
export class CollateralSource {
  #generation: Generation | undefined;
  #signing: Promise<Generation> | undefined;
  #defective: DefectiveGeneration | undefined;

  constructor(
    private readonly platform: SimulatedPlatform,
    private readonly dataDir: string,
    private readonly now: () => Date,
  ) {}

  /** Documents of the platform's state now. Throws the file system's error when a new generation cannot be stored. */
  async current(): Promise<Collateral> {
    const now = this.now();
    const { state } = this.platform;
    if (!isHealthy(state)) return this.#currentDefective(state, now);
    this.#generation ??= await this.#load();
    if (this.#generation === undefined || isStale(this.#generation.window, now)) {
      this.#signing ??= this.#signNext(now).finally(() => {
        this.#signing = undefined;
      });
      this.#generation = await this.#signing;
    }
    const { tdx, sgx, rootCrl, platformCrl, processorCrl } = this.#generation;
    return {
      tdx,
      sgx,
      rootCrl: Buffer.from(rootCrl, 'base64'),
      platformCrl: Buffer.from(platformCrl, 'base64'),
      processorCrl: Buffer.from(processorCrl, 'base64'),
    };
  }

  #currentDefective(state: PlatformState, now: Date): Collateral {
    const kept = this.#defective;
    if (kept !== undefined && kept.state === state && !isStale(kept.window, now)) return kept.collateral;
    const window = windowAt(now);
    const collateral = signCollateral({ pki: this.platform.pki, state, window, now, number: this.#nextNumber(now) });
    this.#defective = { state, window, collateral };
    return collateral;
  }

  get #path(): string {
    return join(this.dataDir, 'collateral.json');
  }

  get #rootFingerprint(): string {
    return createHash('sha256').update(this.platform.pki.rootPem).digest('hex');
  }

  #nextNumber(now: Date): number {
    return Math.max((this.#generation?.number ?? 0) + 1, Math.floor(now.getTime() / 1000));
  }

  /** A missing, damaged or older file is no loss here: everything in it is signed again from the PKI. */
  async #load(): Promise<Generation | undefined> {
    try {
      const generation = generationSchema.parse(JSON.parse(await readFile(this.#path, 'utf8')));
      return generation.root === this.#rootFingerprint ? generation : undefined;
    } catch {
      return undefined;
    }
  }

  async #signNext(now: Date): Promise<Generation> {
    const { pki, state } = this.platform;
    const number = this.#nextNumber(now);
    const window = windowAt(now);
    const { tdx, sgx, ...crls } = signCollateral({ pki, state, window, now, number });
    const encode = (der: Uint8Array): string => Buffer.from(der).toString('base64');
    const generation: Generation = {
      version: 2,
      root: this.#rootFingerprint,
      number,
      window,
      tdx,
      sgx,
      rootCrl: encode(crls.rootCrl),
      platformCrl: encode(crls.platformCrl),
      processorCrl: encode(crls.processorCrl),
    };
    await writeFileAtomically(this.#path, JSON.stringify(generation));
    return generation;
  }
}
