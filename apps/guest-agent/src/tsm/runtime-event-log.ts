import { open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { extendRtmr, RTMR_BYTES, RUNTIME_EVENT_TYPE, runtimeEventDigest } from '@vouch/attestation';
import { z } from 'zod';
import { AgentFailure } from '../agent-failure.js';
import type { BootEventJson, TsmClient } from './tsm-client.js';

const LOG_NAME = 'runtime_events.log';
const lineSchema = z.strictObject({ event: z.string(), payload: z.base64() });

/** A runtime event as the log file keeps it, one JSON line each (dstack-kms §11). */
export interface RuntimeEvent {
  readonly event: string;
  readonly payload: Uint8Array;
}

/** One entry of the event log in dstack's TdxEvent JSON. */
export type TdxEventJson = BootEventJson & { readonly imr: number };

/**
 * The guest's own events: each extends RTMR 3 (version 1 digests) and is then appended to a file only the guest reads
 * (0600). The register comes first, as in dstack: an event that is in the file is measured for certain.
 *
 * The agent may start again without its guest being launched anew, and then RTMR 3 is not zero. The file must account for
 * exactly what the register holds; events it already has are not measured twice.
 */
export class RuntimeEventLog {
  readonly #events: RuntimeEvent[];
  /** How many events of an earlier start have been asked for again. */
  #repeated = 0;

  private constructor(
    private readonly path: string,
    private readonly tsm: TsmClient,
    recorded: readonly RuntimeEvent[],
  ) {
    this.#events = [...recorded];
  }

  /** Opens the log and compares it with RTMR 3. Throws AgentFailure `measurement-mismatch` when they disagree. */
  static async open(stateFolder: string, tsm: TsmClient): Promise<RuntimeEventLog> {
    const path = join(stateFolder, LOG_NAME);
    const { rtMr3 } = await tsm.registers();
    if (/^0+$/.test(rtMr3)) {
      await rm(path, { force: true });
      return new RuntimeEventLog(path, tsm, []);
    }
    const log = new RuntimeEventLog(path, tsm, await readLog(path));
    if (Buffer.from(log.rtmr3()).toString('hex') !== rtMr3) {
      throw new AgentFailure(
        'measurement-mismatch',
        `RTMR3 holds measurements that ${LOG_NAME} does not account for; the guest must be launched anew`,
        true,
      );
    }
    return log;
  }

  /** Measures an event, unless an earlier start of this agent measured the very same one at this place. */
  async measure(event: string, payload: Uint8Array): Promise<void> {
    const earlier = this.#events[this.#repeated];
    if (earlier !== undefined) {
      if (earlier.event !== event || Buffer.compare(earlier.payload, payload) !== 0) {
        throw new AgentFailure(
          'measurement-mismatch',
          `${event} was measured with another value before the agent restarted; the guest must be launched anew`,
          true,
        );
      }
      this.#repeated += 1;
      return;
    }
    await this.#extend(runtimeEventDigest(event, payload));
    await appendLine(this.path, { event, payload: Buffer.from(payload).toString('base64') });
    this.#events.push({ event, payload });
    this.#repeated += 1;
  }

  /** Extends once: after a lost answer the register itself says whether the extension happened. */
  async #extend(digest: Uint8Array): Promise<void> {
    const extended = Buffer.from(extendRtmr(this.rtmr3(), digest)).toString('hex');
    let asked = false;
    await this.tsm.persistently(async () => {
      if (asked && (await this.tsm.registers()).rtMr3 === extended) return;
      asked = true;
      await this.tsm.extendRtmr3(digest);
    });
  }

  /** Every measured event, in order. */
  events(): readonly RuntimeEvent[] {
    return this.#events;
  }

  /** What RTMR 3 must hold, 48 bytes. */
  rtmr3(): Uint8Array {
    return this.#events.reduce<Uint8Array>(
      (register, { event, payload }) => extendRtmr(register, runtimeEventDigest(event, payload)),
      new Uint8Array(RTMR_BYTES),
    );
  }

  /** The whole event log (boot events first), as a list of TdxEvent. */
  tdxEvents(bootEvents: readonly BootEventJson[]): readonly TdxEventJson[] {
    const runtime = this.#events.map(({ event, payload }) => ({
      imr: 3,
      event_type: RUNTIME_EVENT_TYPE,
      digest: Buffer.from(runtimeEventDigest(event, payload)).toString('hex'),
      event,
      event_payload: Buffer.from(payload).toString('hex'),
    }));
    return [...bootEvents, ...runtime];
  }
}

async function readLog(path: string): Promise<RuntimeEvent[]> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw cause;
  }
  const events: RuntimeEvent[] = [];
  for (const line of text.split('\n')) {
    const parsed = lineSchema.safeParse(parseLine(line));
    // A half-written last line was never acknowledged; if its event was measured, the comparison with RTMR3 tells.
    if (!parsed.success) break;
    events.push({ event: parsed.data.event, payload: Buffer.from(parsed.data.payload, 'base64') });
  }
  return events;
}

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

async function appendLine(path: string, value: unknown): Promise<void> {
  const file = await open(path, 'a', 0o600);
  try {
    await file.appendFile(`${JSON.stringify(value)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
}
