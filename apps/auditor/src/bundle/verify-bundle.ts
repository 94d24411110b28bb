import type { TrustAnchor } from '@vouch/attestation';
import {
  EventRejectedError,
  ed25519PublicKey,
  KeyDirectory,
  readEvent,
  type TrustFile,
  verifyAuthor,
} from '@vouch/domain';
import type { StoredEvent } from '@vouch/eventstore';
import { type CheckpointVerifier, CompactRange, openCheckpoint, TransparencyError } from '@vouch/transparency';
import { GrantRechecker, type GrantSummary } from '../replay/grant-rechecker.js';
import { bundleHeaderSchema, bundleLineSchema } from './bundle-line.js';
import { MemoryDecisionLog } from './memory-decision-log.js';

/** The step of a verification that refused, and where. */
export class BundleRefusedError extends Error {
  readonly code = 'bundle-refused';
  readonly retryable = false;
  constructor(
    readonly step:
      | 'bundle.format'
      | 'trust.file'
      | 'event.order'
      | 'event.form'
      | 'event.author'
      | 'checkpoint'
      | 'grant',
    message: string,
    options?: ErrorOptions,
  ) {
    super(`${step}: ${message}`, options);
    this.name = 'BundleRefusedError';
  }
}

export interface BundleReport {
  readonly events: number;
  readonly checkpoints: number;
  /** Merkle root of all events, hex; the last checkpoint signs it. */
  readonly root: string;
  readonly grants: GrantSummary;
}

export interface VerifyBundleOptions {
  /** The verifier's own copy of the trust file: whose signatures count. */
  readonly trust: TrustFile;
  /** Roots a quote may lead to; Intel's when empty. */
  readonly trustAnchors: readonly TrustAnchor[];
}

/**
 * Verifies a bundle line by line, with nothing but the bundle and the verifier's own trust file: every author, the order,
 * every checkpoint's signature and root, and every grant decision from its evidence. Throws BundleRefusedError.
 */
export async function verifyBundle(lines: AsyncIterable<string>, options: VerifyBundleOptions): Promise<BundleReport> {
  const { origin, publicKey } = options.trust.log;
  const run = new BundleRun(
    new KeyDirectory(options.trust),
    { origin, publicKey: ed25519PublicKey(publicKey) },
    options,
  );
  let size: number | undefined;
  for await (const line of lines) {
    if (line === '') continue;
    if (size === undefined) size = readHeader(line, options.trust);
    else await run.take(line);
  }
  if (size === undefined) throw new BundleRefusedError('bundle.format', 'the file is empty');
  return run.finish(size);
}

class BundleRun {
  readonly #tree = CompactRange.empty();
  readonly #log = new MemoryDecisionLog();
  readonly #grants: GrantRechecker;
  #checkpoints = 0;
  #signedSize = 0;

  constructor(
    private readonly directory: KeyDirectory,
    private readonly verifier: CheckpointVerifier,
    options: VerifyBundleOptions,
  ) {
    this.#grants = new GrantRechecker(this.#log, options.trustAnchors);
  }

  async take(line: string): Promise<void> {
    const parsed = bundleLineSchema.safeParse(jsonOf(line));
    if (!parsed.success)
      throw new BundleRefusedError('bundle.format', `a line after event ${this.#tree.size} is broken`);
    if ('checkpoint' in parsed.data) this.#checkpoint(parsed.data.checkpoint);
    else await this.#event(parsed.data.seq, Buffer.from(parsed.data.event, 'base64'));
  }

  finish(size: number): BundleReport {
    if (this.#tree.size !== size || this.#signedSize !== size) {
      const has = `it has ${this.#tree.size} events, signed up to ${this.#signedSize}`;
      throw new BundleRefusedError('checkpoint', `the bundle says ${size} events; ${has}`);
    }
    const grants = this.#grants.summary;
    const wrong = grants.listed.find(({ verdict }) => verdict === 'differs');
    if (wrong !== undefined)
      throw new BundleRefusedError('grant', `the decision of event ${wrong.seq}: ${wrong.reason}`);
    const root = Buffer.from(this.#tree.root()).toString('hex');
    return { events: size, checkpoints: this.#checkpoints, root, grants };
  }

  async #event(seq: number, bytes: Uint8Array): Promise<void> {
    if (seq !== this.#tree.size + 1) {
      throw new BundleRefusedError('event.order', `event ${seq} stands where ${this.#tree.size + 1} should`);
    }
    const event = this.#opened(seq, bytes);
    this.#tree.appendEntry(bytes);
    this.#log.add(event);
    await this.#grants.take([event]);
  }

  #opened(seq: number, bytes: Uint8Array): StoredEvent {
    try {
      const subject = (jsonOf(Buffer.from(bytes).toString('utf8')) as { subject?: unknown } | null)?.subject;
      const event = readEvent(bytes, String(subject));
      verifyAuthor(event, this.directory);
      const { subject: stored, time } = event.envelope;
      return { ...event, seq, subject: stored, storedAt: new Date(time) } as unknown as StoredEvent;
    } catch (cause) {
      if (!(cause instanceof EventRejectedError)) throw cause;
      const step =
        cause.code.startsWith('event-author') || cause.code === 'event-signature-invalid'
          ? 'event.author'
          : 'event.form';
      throw new BundleRefusedError(step, `event ${seq}: ${cause.message}`, { cause });
    }
  }

  #checkpoint(note: string): void {
    try {
      const { size, root } = openCheckpoint(note, this.verifier);
      if (size !== this.#tree.size)
        throw new BundleRefusedError('checkpoint', `one of ${size} stands after ${this.#tree.size}`);
      if (Buffer.compare(root, this.#tree.root()) !== 0) {
        throw new BundleRefusedError('checkpoint', `the first ${size} events do not have the root that was signed`);
      }
      this.#checkpoints += 1;
      this.#signedSize = size;
    } catch (cause) {
      if (!(cause instanceof TransparencyError)) throw cause;
      throw new BundleRefusedError('checkpoint', `after event ${this.#tree.size}: ${cause.message}`, { cause });
    }
  }
}

function readHeader(line: string, trust: TrustFile): number {
  const header = bundleHeaderSchema.safeParse(jsonOf(line));
  if (!header.success) throw new BundleRefusedError('bundle.format', 'the first line is not the header of a bundle');
  const { log } = header.data.trust;
  if (log.origin !== trust.log.origin || log.publicKey !== trust.log.publicKey) {
    throw new BundleRefusedError('trust.file', `the bundle is of log ${log.origin}, not of the one you trust`);
  }
  return header.data.size;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
