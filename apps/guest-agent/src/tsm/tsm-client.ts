import { z } from 'zod';
import { AgentFailure } from '../agent-failure.js';
import { persist } from '../host/back-off.js';
import { type UnixRequestError, unixJson } from '../host/unix-json.js';

const TIMEOUT_MS = 20_000;
const hex48 = z.string().regex(/^[0-9a-f]{96}$/);

const quoteSchema = z.looseObject({ quote: z.base64() });
const registersSchema = z.looseObject({ mrTd: hex48, rtMr0: hex48, rtMr1: hex48, rtMr2: hex48, rtMr3: hex48 });
export type Registers = z.infer<typeof registersSchema>;

/** A boot event as the platform's log has it (dstack's TdxEvent JSON, IMR 0-2). */
const bootEventSchema = z.looseObject({
  imr: z.number().int().min(0).max(2),
  event_type: z.number().int().nonnegative(),
  digest: hex48,
  event: z.string(),
  event_payload: z.string().regex(/^([0-9a-f]{2})*$/),
});
export type BootEventJson = z.infer<typeof bootEventSchema>;

/** The guest's trusted module: on a process guest the simulator's channel. Throws UnixRequestError and AgentFailure. */
export class TsmClient {
  constructor(
    private readonly socketPath: string,
    private readonly signal: AbortSignal,
    private readonly onFailure: (error: UnixRequestError) => void,
  ) {}

  /** Repeats `attempt` while the module does not answer (it may be restarting). */
  async persistently<T>(attempt: () => Promise<T>): Promise<T> {
    return await persist(attempt, this.signal, this.onFailure);
  }

  /** Extends RTMR 3 with a 48-byte digest. Not to be repeated blindly: a lost answer may hide an extension. */
  async extendRtmr3(digest: Uint8Array): Promise<void> {
    const body = { rtmr: 3, digest: Buffer.from(digest).toString('hex') };
    await this.#call('POST', '/extend', body);
  }

  /** A quote over 64 bytes of report data. */
  async quote(reportData: Uint8Array): Promise<Uint8Array> {
    const answer = await this.#call('POST', '/quote', { reportData: Buffer.from(reportData).toString('hex') });
    return Buffer.from(read(quoteSchema, answer).quote, 'base64');
  }

  async bootLog(): Promise<readonly BootEventJson[]> {
    return read(z.array(bootEventSchema).max(4096), await this.#call('GET', '/boot-log'));
  }

  /** MRTD and RTMR 0-3, hex, as they are now. */
  async registers(): Promise<Registers> {
    return read(registersSchema, await this.#call('GET', '/rtmrs'));
  }

  async #call(method: 'GET' | 'POST', path: string, body?: unknown): Promise<unknown> {
    return await unixJson({
      socketPath: this.socketPath,
      method,
      path,
      timeoutMs: TIMEOUT_MS,
      signal: this.signal,
      ...(body === undefined ? {} : { body }),
    });
  }
}

function read<S extends z.ZodType>(schema: S, answer: unknown): z.infer<S> {
  const parsed = schema.safeParse(answer);
  if (parsed.success) return parsed.data;
  throw new AgentFailure('tsm-unavailable', `tsm: ${z.prettifyError(parsed.error)}`, true);
}
