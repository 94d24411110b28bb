import { createHash, type KeyObject, sign } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { writeFileAtomically } from '../atomic-file.js';
import { issueCrl } from '../pki/certificate-revocation-list.js';
import type { PlatformPki } from '../pki/platform-pki.js';
import { qeIdentityText } from './qe-identity.js';
import { tcbInfoText } from './tcb-info.js';
import { isStale, windowAt } from './validity-window.js';

const base64 = z.base64();
const iso = z.iso.datetime();
const generationSchema = z.strictObject({
  version: z.literal(1),
  /** SHA-256 of the root certificate it chains to, hex: a generation of another PKI is never served. */
  root: z.string(),
  /** CRL number: seconds since the epoch, or one more than the last, so that it grows even when this file is lost. */
  number: z.number().int().positive(),
  window: z.strictObject({ issueDate: iso, nextUpdate: iso }),
  /** Response bodies, the signed inner object's exact text within. */
  tcbInfo: z.string(),
  qeIdentity: z.string(),
  /** DER, base64. */
  rootCrl: base64,
  platformCrl: base64,
  processorCrl: base64,
});

/** One generation of signed documents; all of them are signed at one moment. */
export interface Collateral {
  readonly tcbInfo: string;
  readonly qeIdentity: string;
  readonly rootCrl: Uint8Array;
  readonly platformCrl: Uint8Array;
  readonly processorCrl: Uint8Array;
}
type Generation = z.infer<typeof generationSchema>;

/**
 * Signs TCB info, QE identity and CRLs, and signs them again a day after issue, far ahead of their expiry. A generation
 * is kept on disk, so that a restart serves the same bytes (a new signature would be a new collateral digest downstream).
 */
export class CollateralSource {
  #generation: Generation | undefined;
  #signing: Promise<Generation> | undefined;

  constructor(
    private readonly pki: PlatformPki,
    private readonly dataDir: string,
    private readonly now: () => Date,
  ) {}

  /** Documents that are valid now. Throws the file system's error when a new generation cannot be stored. */
  async current(): Promise<Collateral> {
    const now = this.now();
    this.#generation ??= await this.#load();
    if (this.#generation === undefined || isStale(this.#generation.window, now)) {
      this.#signing ??= this.#signNext(now).finally(() => {
        this.#signing = undefined;
      });
      this.#generation = await this.#signing;
    }
    const { tcbInfo, qeIdentity, rootCrl, platformCrl, processorCrl } = this.#generation;
    return {
      tcbInfo,
      qeIdentity,
      rootCrl: Buffer.from(rootCrl, 'base64'),
      platformCrl: Buffer.from(platformCrl, 'base64'),
      processorCrl: Buffer.from(processorCrl, 'base64'),
    };
  }

  get #path(): string {
    return join(this.dataDir, 'collateral.json');
  }

  get #rootFingerprint(): string {
    return createHash('sha256').update(this.pki.rootPem).digest('hex');
  }

  /** A missing or damaged file is no loss here: everything in it is signed again from the PKI. */
  async #load(): Promise<Generation | undefined> {
    try {
      const generation = generationSchema.parse(JSON.parse(await readFile(this.#path, 'utf8')));
      return generation.root === this.#rootFingerprint ? generation : undefined;
    } catch {
      return undefined;
    }
  }

  async #signNext(now: Date): Promise<Generation> {
    const { pki } = this;
    const number = Math.max((this.#generation?.number ?? 0) + 1, Math.floor(now.getTime() / 1000));
    const window = windowAt(now);
    const dates = { number, thisUpdate: new Date(window.issueDate), nextUpdate: new Date(window.nextUpdate) };
    const crl = (issuer: PlatformPki['root']) =>
      Buffer.from(issueCrl({ issuer, revoked: [], ...dates })).toString('base64');
    const generation: Generation = {
      version: 1,
      root: this.#rootFingerprint,
      number,
      window,
      tcbInfo: signedDocument('tcbInfo', tcbInfoText(window), pki.tcbSigningKey),
      qeIdentity: signedDocument('enclaveIdentity', qeIdentityText(window), pki.tcbSigningKey),
      rootCrl: crl(pki.root),
      platformCrl: crl(pki.platformCa),
      processorCrl: crl(pki.processorCa),
    };
    await writeFileAtomically(this.#path, JSON.stringify(generation));
    return generation;
  }
}

/** `{"<name>":<text>,"signature":"<r‖s, 128 hex digits>"}` with the signed text inside byte for byte. */
function signedDocument(name: 'tcbInfo' | 'enclaveIdentity', text: string, key: KeyObject): string {
  const signature = sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' });
  return `{"${name}":${text},"signature":"${signature.toString('hex')}"}`;
}
