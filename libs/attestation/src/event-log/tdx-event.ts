import type { Check, Refused } from '../check.js';

export type Imr = 0 | 1 | 2 | 3;

/** One entry of a dstack event log (JSON TdxEvent). */
export interface TdxEvent {
  readonly imr: Imr;
  /** Unsigned 32 bits; {@link RUNTIME_EVENT_TYPE} for dstack runtime events. */
  readonly eventType: number;
  /** As listed: 48 bytes, or empty where a stripped log leaves it out. Never trusted for runtime events. */
  readonly digest: Uint8Array;
  readonly event: string;
  readonly payload: Uint8Array;
  readonly version: 1 | 2;
  /** Version 2 only. */
  readonly preimage: Uint8Array | null;
}

declare const bound: unique symbol;

/** Events of an appraised quote: for every register that an event here belongs to, the replay equals the quote's. */
export interface BoundEventLog {
  readonly [bound]: true;
  readonly events: readonly TdxEvent[];
}

/** Identity a guest measured before `system-ready`; all hex lower-case. */
export interface EventLogIdentity {
  /** 40 hex digits. */
  readonly appId: string;
  /** 64 hex digits: SHA-256 of the raw app-compose bytes. */
  readonly composeHash: string;
  /** 40 hex digits, or empty when the app runs without an instance id. */
  readonly instanceId: string;
  /** Payload of os-image-hash, 64 hex digits, or null before the guest has keys. */
  readonly osImageHash: string | null;
  readonly rootfsHash: string | null;
  readonly gpuPolicyHash: string | null;
  readonly initScriptHashes: readonly string[];
  /** Exact payload bytes of key-provider (they are hashed into mr_system), or null. */
  readonly keyProviderInfo: Uint8Array | null;
  readonly bootMrDone: boolean;
  readonly systemReady: boolean;
}

export type ParseEventLogResult = { readonly ok: true; readonly events: readonly TdxEvent[] } | Refused;
export type BindEventLogResult =
  | { readonly ok: true; readonly log: BoundEventLog; readonly checks: readonly Check[] }
  | Refused;
export type IdentityResult =
  | { readonly ok: true; readonly identity: EventLogIdentity; readonly checks: readonly Check[] }
  | Refused;
