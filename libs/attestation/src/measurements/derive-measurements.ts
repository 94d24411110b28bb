import { concatBytes, hashBytes, isZero } from '../bytes.js';
import { replayRtmr } from '../event-log/replay.js';
import type { BoundEventLog } from '../event-log/tdx-event.js';

/** The measurements `deriveMeasurements` reads: a subset of `TdReport`, each 48 bytes. */
export interface TdMeasurements {
  readonly mrTd: Uint8Array;
  readonly rtMr0: Uint8Array;
  readonly rtMr1: Uint8Array;
  readonly rtMr2: Uint8Array;
  readonly rtMr3: Uint8Array;
  readonly mrConfigId: Uint8Array;
  readonly mrOwner: Uint8Array;
  readonly mrOwnerConfig: Uint8Array;
}

/** 32 bytes each. */
export interface DerivedMeasurements {
  readonly mrAggregated: Uint8Array;
  readonly mrSystem: Uint8Array;
  readonly mrKeyProvider: Uint8Array;
}

/**
 * dstack's derived measurements (dstack-kms §12): mr_key_provider = SHA-256(key-provider payload) or 32 zero bytes;
 * mr_system = SHA-256(MRTD ‖ RTMR0-2 ‖ mr_key_provider); mr_aggregated = SHA-256(MRTD ‖ RTMR0-3), with the three
 * configuration fields appended when any of them is not zero. For the boot-time form use `bootTimeMeasurements`.
 */
export function deriveMeasurements(td: TdMeasurements, keyProviderInfo: Uint8Array | null): DerivedMeasurements {
  const boot = concatBytes(td.mrTd, td.rtMr0, td.rtMr1, td.rtMr2);
  const config = concatBytes(td.mrConfigId, td.mrOwner, td.mrOwnerConfig);
  const mrKeyProvider = keyProviderInfo === null ? new Uint8Array(32) : hashBytes('sha256', keyProviderInfo);
  return {
    mrAggregated: hashBytes('sha256', boot, td.rtMr3, ...(isZero(config) ? [] : [config])),
    mrSystem: hashBytes('sha256', boot, mrKeyProvider),
    mrKeyProvider,
  };
}

/** The same at boot time: RTMR 3 replayed until `boot-mr-done`, and no key provider, as it is not known then. */
export function bootTimeMeasurements(td: TdMeasurements, log: BoundEventLog): DerivedMeasurements {
  return deriveMeasurements({ ...td, rtMr3: replayRtmr(log.events, 3, 'boot-mr-done') }, null);
}

/** SHA-256(PPID), 32 bytes: dstack's device id on TDX, GCP's included. */
export function deviceId(ppid: Uint8Array): Uint8Array {
  return hashBytes('sha256', ppid);
}
