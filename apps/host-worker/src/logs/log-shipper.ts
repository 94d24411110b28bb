import { open, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { asError, type FieldLogger } from '@vouch/platform';
import { z } from 'zod';
import { removeFileDurably, writeFileAtomically } from '../atomic-file.js';
import { TokenBucket } from '../host-api/token-bucket.js';

const POLL_MS = 500;
const MAX_CHUNK_BYTES = 32 * 1024;
/** Per guest: a burst and a steady rate, in bytes. What exceeds them is left out and counted. */
const BURST_BYTES = 512 * 1024;
const BYTES_PER_SECOND = 32 * 1024;

const offsetsSchema = z.record(z.string(), z.strictObject({ inode: z.number(), offset: z.number() }));
type Offsets = z.infer<typeof offsetsSchema>;

/** One message on `logs.<hostId>.<instanceId>`. */
interface LogMessage {
  /** When the worker read it, ISO 8601. */
  readonly time: string;
  readonly source: 'app' | 'agent';
  readonly lines: readonly string[];
}

export interface LogShipperParts {
  /** Where the read positions are kept over restarts. */
  readonly folder: string;
  readonly publish: (instanceId: string, message: LogMessage) => void;
  readonly now: () => Date;
  readonly monotonicMs: () => number;
  readonly logger: FieldLogger;
}

/**
 * Follows the guests' log files and publishes whole lines. Best effort and bounded: a guest that floods its log loses
 * lines there (a line says how many bytes), never anything of anybody else. Positions survive a worker restart.
 */
export class LogShipper {
  readonly #tails = new Map<string, GuestTail>();

  constructor(private readonly parts: LogShipperParts) {}

  async open(instanceId: string, logs: Readonly<Record<'app' | 'agent', string>>): Promise<void> {
    if (this.#tails.has(instanceId)) return;
    const tail = new GuestTail(instanceId, logs, this.parts);
    this.#tails.set(instanceId, tail);
    await tail.start();
  }

  /** Ships what is left and forgets the positions. */
  async forget(instanceId: string): Promise<void> {
    const tail = this.#tails.get(instanceId);
    this.#tails.delete(instanceId);
    await tail?.stop();
    await removeFileDurably(offsetsPath(this.parts.folder, instanceId));
  }

  async close(): Promise<void> {
    const tails = [...this.#tails.values()];
    this.#tails.clear();
    await Promise.all(tails.map((tail) => tail.stop()));
  }
}

class GuestTail {
  readonly #bucket: TokenBucket;
  #offsets: Offsets = {};
  #timer: NodeJS.Timeout | undefined;
  #working: Promise<void> = Promise.resolve();
  #omittedBytes = 0;

  constructor(
    private readonly instanceId: string,
    private readonly logs: Readonly<Record<'app' | 'agent', string>>,
    private readonly parts: LogShipperParts,
  ) {
    this.#bucket = new TokenBucket(BURST_BYTES, BYTES_PER_SECOND, parts.monotonicMs);
  }

  async start(): Promise<void> {
    this.#offsets = await readOffsets(offsetsPath(this.parts.folder, this.instanceId));
    this.#timer = setInterval(() => this.#poke(), POLL_MS);
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#working;
    await this.#shipAll().catch(() => undefined);
  }

  #poke(): void {
    const work = this.#working.then(() => this.#shipAll());
    this.#working = work.catch((error: unknown) => {
      this.parts.logger.warn({ instanceId: this.instanceId, err: asError(error).message }, 'logs could not be shipped');
    });
  }

  async #shipAll(): Promise<void> {
    const before = JSON.stringify(this.#offsets);
    for (const source of ['agent', 'app'] as const) await this.#ship(source, this.logs[source]);
    if (JSON.stringify(this.#offsets) === before) return;
    await writeFileAtomically(offsetsPath(this.parts.folder, this.instanceId), JSON.stringify(this.#offsets));
  }

  async #ship(source: 'app' | 'agent', path: string): Promise<void> {
    const found = await stat(path).catch(() => undefined);
    if (found === undefined) return;
    const known = this.#offsets[source];
    // Another file under the same name: the log was rotated.
    let offset = known?.inode === found.ino && known.offset <= found.size ? known.offset : 0;
    while (offset < found.size) {
      const chunk = await readChunk(path, offset, Math.min(MAX_CHUNK_BYTES, found.size - offset));
      const length = wholeLines(chunk);
      if (length === 0) break;
      this.#publish(source, chunk.subarray(0, length));
      offset += length;
    }
    this.#offsets = { ...this.#offsets, [source]: { inode: found.ino, offset } };
  }

  #publish(source: 'app' | 'agent', bytes: Buffer): void {
    if (!this.#bucket.tryTake(bytes.length)) {
      this.#omittedBytes += bytes.length;
      return;
    }
    const lines = bytes.toString('utf8').replace(/\n$/, '').split('\n');
    if (this.#omittedBytes > 0) lines.unshift(`[${this.#omittedBytes} bytes left out: too much output]`);
    this.#omittedBytes = 0;
    this.parts.publish(this.instanceId, { time: this.parts.now().toISOString(), source, lines });
  }
}

/** Bytes up to the last line end; a line longer than a chunk is cut. */
function wholeLines(chunk: Buffer): number {
  const end = chunk.lastIndexOf(0x0a) + 1;
  return end === 0 && chunk.length === MAX_CHUNK_BYTES ? chunk.length : end;
}

async function readChunk(path: string, offset: number, length: number): Promise<Buffer> {
  const file = await open(path, 'r');
  try {
    const buffer = Buffer.alloc(length);
    const { bytesRead } = await file.read(buffer, 0, length, offset);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

function offsetsPath(folder: string, instanceId: string): string {
  return join(folder, `${instanceId}.log-positions`);
}

async function readOffsets(path: string): Promise<Offsets> {
  try {
    return offsetsSchema.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch {
    return {};
  }
}
