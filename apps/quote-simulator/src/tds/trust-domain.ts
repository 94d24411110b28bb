import { extendRtmr, type ProcessMeasurements, processMeasurements } from '@vouch/attestation';
import type { TdMeasurements } from '../quote/td-report.js';
import { machineOf, type TdDefinition } from './td-definition.js';

/** Registers as lower-case hex, 48 bytes each. */
export interface TdRegisters {
  readonly mrTd: string;
  readonly rtMr0: string;
  readonly rtMr1: string;
  readonly rtMr2: string;
  readonly rtMr3: string;
}

/** Stores RTMR3 before anybody is told of it; throws when it cannot, and the register then keeps its value. */
export type PersistRegister = (rtMr3: Uint8Array) => Promise<void>;

/** What makes quotes over a TD's registers. */
export interface Quoter {
  quote(td: TdMeasurements): Uint8Array;
}

/**
 * One simulated TD: boot measurements fixed by its definition, RTMR3 extended by the guest. An extension is on disk
 * before it is acknowledged and before any quote shows it, so a killed simulator never takes a register back.
 */
export class TrustDomain {
  readonly #boot: ProcessMeasurements;
  readonly #mrConfigId: Uint8Array;
  #rtMr3: Uint8Array;
  /** Extensions run one after another. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(
    readonly definition: TdDefinition,
    rtMr3: Uint8Array,
    private readonly persist: PersistRegister,
  ) {
    this.#boot = processMeasurements(machineOf(definition));
    this.#mrConfigId = Buffer.from(definition.mrConfigId, 'hex');
    this.#rtMr3 = rtMr3;
  }

  /** RTMR3 ← SHA-384(RTMR3 ‖ digest), 48-byte digest. Throws what `persist` throws. */
  extend(digest: Uint8Array): Promise<void> {
    const turn = this.#last.then(async () => {
      const next = extendRtmr(this.#rtMr3, digest);
      await this.persist(next);
      this.#rtMr3 = next;
    });
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  /** A quote over the registers as they are now and 64 bytes of report data. */
  quote(quoter: Quoter, reportData: Uint8Array): Uint8Array {
    const { mrTd, rtMr0, rtMr1, rtMr2 } = this.#boot;
    return quoter.quote({ mrTd, mrConfigId: this.#mrConfigId, rtMr0, rtMr1, rtMr2, rtMr3: this.#rtMr3, reportData });
  }

  registers(): TdRegisters {
    const { mrTd, rtMr0, rtMr1, rtMr2 } = this.#boot;
    return { mrTd: hex(mrTd), rtMr0: hex(rtMr0), rtMr1: hex(rtMr1), rtMr2: hex(rtMr2), rtMr3: hex(this.#rtMr3) };
  }

  bootLog(): ProcessMeasurements['bootEvents'] {
    return this.#boot.bootEvents;
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
