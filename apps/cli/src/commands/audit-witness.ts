import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ed25519PublicKey } from '@vouch/domain';
import {
  type CheckpointVerifier,
  cosign,
  followLog,
  type Hash,
  type SeenTree,
  TransparencyError,
  type WitnessSigner,
} from '@vouch/transparency';
import { z } from 'zod';
import { CliFailure, exitCodes, misuse } from '../failure.js';
import { note, print } from '../output.js';

/** Which log is watched, and where what was seen is kept. */
export interface WitnessTarget {
  /** Base URL of the auditor's HTTP listener. */
  readonly url: string;
  readonly origin: string;
  /** Raw Ed25519 public key of the log, base64url. */
  readonly publicKey: string;
  /** Folder of the witness: its key and the last checkpoint of each origin. */
  readonly folder: string;
  readonly name: string;
}

const FETCH_TIMEOUT_MS = 10_000;
const memorySchema = z.strictObject({
  origin: z.string(),
  size: z.number().int().nonnegative(),
  root: z.string().regex(/^[0-9a-f]{64}$/),
  note: z.string(),
});

/**
 * A witness of one log: remembers the last checkpoint it accepted, on disk, and accepts the next only with a proof that
 * it extends that one. Then it cosigns. Needs nothing of the fleet but the log's name and public key.
 */
class LogWitness {
  readonly #signer: WitnessSigner;
  readonly #verifier: CheckpointVerifier;
  readonly #memoryFile: string;

  constructor(private readonly target: WitnessTarget) {
    mkdirSync(target.folder, { recursive: true, mode: 0o700 });
    this.#signer = witnessKey(target);
    this.#verifier = { origin: target.origin, publicKey: ed25519PublicKey(target.publicKey) };
    this.#memoryFile = join(target.folder, `${encodeURIComponent(target.origin)}.json`);
  }

  /** The witness's public key, raw, base64url: what others need to check its cosignatures. */
  get publicKey(): string {
    return this.#signer.publicKey.export({ format: 'jwk' }).x ?? '';
  }

  /** Looks once. Returns the cosigned note; throws CliFailure `badEvidence` when the history was rewritten or cut. */
  async look(): Promise<{ readonly note: string; readonly size: number; readonly seen: number }> {
    const seen = this.#remembered();
    const text = await this.#get('/log/checkpoint');
    try {
      const next = await followLog(seen, text, this.#verifier, (from, to) => this.#proof(from, to));
      const cosigned = cosign(text, this.#signer, new Date());
      // Remembered before it is given out: a cosignature for a tree this witness forgot would be worth nothing.
      this.#remember({ origin: next.origin, size: next.size, root: hex(next.root), note: cosigned });
      return { note: cosigned, size: next.size, seen: seen?.size ?? 0 };
    } catch (error) {
      if (!(error instanceof TransparencyError)) throw error;
      throw new CliFailure(
        exitCodes.badEvidence,
        `the log ${this.target.origin} failed at ${error.code}: ${error.message}`,
        `keep ${this.#memoryFile}: it proves what the log had signed before`,
        { cause: error },
      );
    }
  }

  #remembered(): SeenTree | undefined {
    if (!existsSync(this.#memoryFile)) return undefined;
    const parsed = memorySchema.safeParse(JSON.parse(readFileSync(this.#memoryFile, 'utf8')));
    if (!parsed.success || parsed.data.origin !== this.target.origin) {
      // Starting anew would accept any history: the one thing a witness must not do by itself.
      throw misuse(`${this.#memoryFile} is not the memory of ${this.target.origin}`, 'restore it from a copy');
    }
    return { size: parsed.data.size, root: Buffer.from(parsed.data.root, 'hex') };
  }

  #remember(memory: z.infer<typeof memorySchema>): void {
    const next = `${this.#memoryFile}.next`;
    writeFileSync(next, `${JSON.stringify(memory, null, 2)}\n`, { mode: 0o600, flush: true });
    renameSync(next, this.#memoryFile);
  }

  async #proof(from: number, to: number): Promise<readonly Hash[]> {
    const body: unknown = JSON.parse(await this.#get(`/log/consistency?from=${from}&to=${to}`));
    const parsed = z.object({ proof: z.array(z.base64()).max(128) }).safeParse(body);
    if (!parsed.success) throw new TransparencyError('proof-malformed', 'the log gave no consistency proof');
    return parsed.data.proof.map((text) => new Uint8Array(Buffer.from(text, 'base64')));
  }

  async #get(path: string): Promise<string> {
    const { url } = this.target;
    try {
      const response = await fetch(new URL(path, url), { signal: AbortSignal.timeout(FETCH_TIMEOUT_MS) });
      if (response.ok) return await response.text();
      throw new Error(`HTTP ${response.status}`);
    } catch (cause) {
      const reason = (cause as Error).message;
      throw new CliFailure(exitCodes.network, `the log at ${url} did not answer ${path}: ${reason}`, '', { cause });
    }
  }
}

/** One look; prints the cosigned checkpoint. */
export async function witnessOnce(target: WitnessTarget): Promise<void> {
  const witness = new LogWitness(target);
  const { note: cosigned, size, seen } = await witness.look();
  note(seen === 0 ? `first look: ${size} events` : `consistent: ${seen} -> ${size} events`);
  note(`witness ${target.name}, key ${witness.publicKey}`);
  print(cosigned.trimEnd());
}

/**
 * The standalone witness: looks every `everySeconds` and serves the last cosigned checkpoint at `/checkpoint`. Once a
 * history was found rewritten it serves 409 with the reason for ever and cosigns no more: a person must look.
 */
export async function witnessForEver(target: WitnessTarget, everySeconds: number, listen: string): Promise<never> {
  const witness = new LogWitness(target);
  let state: { status: number; text: string } = { status: 503, text: 'nothing was seen yet\n' };
  const [host, port] = [listen.slice(0, listen.lastIndexOf(':')), Number(listen.slice(listen.lastIndexOf(':') + 1))];
  const server = createServer((request, response) => {
    const isKnown = request.method === 'GET' && request.url === '/checkpoint';
    response.writeHead(isKnown ? state.status : 404, { 'content-type': 'text/plain; charset=utf-8' });
    response.end(isKnown ? state.text : '');
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, host, resolve));
  note(`witness ${target.name}, key ${witness.publicKey}, serves http://${listen}/checkpoint`);
  for (;;) {
    try {
      const { note: cosigned, size } = await witness.look();
      state = { status: 200, text: cosigned };
      note(`cosigned ${size} events`);
    } catch (error) {
      if (!(error instanceof CliFailure)) throw error;
      const isAlarm = error.exitCode === exitCodes.badEvidence;
      note(isAlarm ? `ALARM ${error.message}` : error.message);
      if (isAlarm) {
        state = { status: 409, text: `${error.message}\n` };
        for (;;) await sleep(86_400_000);
      }
    }
    await sleep(everySeconds * 1_000);
  }
}

function witnessKey({ folder, name }: WitnessTarget): WitnessSigner {
  const file = join(folder, 'witness.pem');
  if (!existsSync(file)) {
    const { privateKey } = generateKeyPairSync('ed25519');
    writeFileSync(file, privateKey.export({ format: 'pem', type: 'pkcs8' }), { mode: 0o600, flag: 'wx', flush: true });
  }
  const privateKey = createPrivateKey(readFileSync(file, 'utf8'));
  return { name, privateKey, publicKey: createPublicKey(privateKey) };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
