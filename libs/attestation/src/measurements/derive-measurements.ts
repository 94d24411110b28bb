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

export interface DerivedMeasurements {
  /** 32 bytes each. */
  readonly mrAggregated: Uint8Array;
  readonly mrSystem: Uint8Array;
  readonly mrKeyProvider: Uint8Array;
}

/** dstack's derived measurements (dstack-kms §12). For the boot-time form pass rtMr3 replayed until `boot-mr-done` and no key provider. */
export function deriveMeasurements(_td: TdMeasurements, _keyProviderInfo: Uint8Array | null): DerivedMeasurements {
  throw new Error('not implemented');
}

/** SHA-256(PPID), 32 bytes. */
export function deviceId(_ppid: Uint8Array): Uint8Array {
  throw new Error('not implemented');
}

/** mr_config_id version 1: 01 ‖ compose hash ‖ 15 zero bytes (48 bytes). */
export function mrConfigIdV1(_composeHash: Uint8Array): Uint8Array {
  throw new Error('not implemented');
}
