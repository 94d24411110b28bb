import { z } from 'zod';
import { HEX16, HEX20, HEX32, HOST_ID } from './ids.js';

/** Fields and parts that events of several kinds have in common. */
export const hex20 = z.string().regex(HEX20, '40 lower-case hex digits');
export const hex16 = z.string().regex(HEX16, '32 lower-case hex digits');
export const hex32 = z.string().regex(HEX32, '64 lower-case hex digits');
export const hex = z.string().regex(/^([0-9a-f]{2})*$/, 'lower-case hex');
export const base64 = z.string().regex(/^[A-Za-z0-9+/]*={0,2}$/, 'standard base64');
export const hostIdField = z.string().regex(HOST_ID, '1-32 of a-z, 0-9 and "-"');
export const epochField = z.number().int().positive();
export const portField = z.number().int().min(1).max(65535);
export const when = z.iso.datetime({ precision: 3 });
/** Names of development-only weakenings in force when the event was written, each starting with "unsafe". */
export const unsafeField = z.array(z.string().regex(/^unsafe[A-Za-z]+$/));

export const resourcesSchema = z.strictObject({
  vcpu: z.number().int().min(1).max(512),
  memoryMiB: z.number().int().min(64).max(4_194_304),
  diskGiB: z.number().int().min(1).max(65_536),
});

/** One check of a grant decision. A check that did not run is `skipped` and says why; it is never `pass`. */
export const checkSchema = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9.-]{0,63}$/),
  outcome: z.enum(['pass', 'fail', 'skipped']),
  detail: z.string().max(2000),
});

/** What the guest signs into its quote (canonical JSON; report_data binds its hash). Public keys only. */
export const claimsSchema = z.strictObject({
  version: z.literal(1),
  /** 32 random bytes from the KMS, hex, single use, 60 s. */
  challenge: hex32,
  hostId: hostIdField,
  appId: hex20,
  instanceId: hex20,
  epoch: epochField,
  /** X25519 public key the payload is sealed to, 32 bytes hex. */
  hpkeKey: hex32,
  /** X25519 WireGuard public key, 32 bytes hex. */
  wireguardKey: hex32,
  /** P-256 identity key of the guest, DER SubjectPublicKeyInfo hex (91 bytes). */
  tlsKey: hex.length(182),
});

export const evidenceSchema = z.strictObject({
  /** Raw quote, base64. */
  quote: base64.max(64 * 1024),
  /** Event log: the exact JSON text (array of TdxEvent, dstack-kms §10.3). */
  eventLog: z.string().max(96 * 1024),
  /** vm_config: the exact JSON text (dstack-kms §14). */
  vmConfig: z.string().max(16 * 1024),
});

/** What a change of on-chain policy is about (dstack-kms §16.5; `owner`: who may change it). */
export const policyNames = [
  ...[
    'kms-aggregated-mr',
    'kms-device',
    'os-image',
    'gateway-app-id',
    'registered-app',
    'app-implementation',
    'kms-info',
  ],
  ...['compose-hash', 'device', 'allow-any-device', 'require-tcb-up-to-date', 'upgrades-disabled'],
  ...['implementation-upgrade', 'owner'],
] as const;
/** DstackKms, and the app's contract when it is that one which speaks; both 20 bytes. */
export const policyContract = { chainId: z.number().int().positive(), contract: hex20, app: hex20.nullable() } as const;

/** Whole seconds from the policy's own time to the decision; a little below 0 when the two clocks differ. */
const policyAge = z.number().int();
export const policySources = ['contract', 'file', 'webhook'] as const;

/**
 * Which policy decided, and as of when. Events from before there were other sources than the contract have neither
 * `source` nor `ageSeconds`.
 */
export const policyReadSchema = z.union([
  z.strictObject({
    source: z.literal('contract').optional(),
    chainId: z.number().int(),
    contract: hex20,
    /** The one block every call was pinned to. */
    block: z.number().int(),
    blockHash: hex32,
    blockTime: when,
    ageSeconds: policyAge.optional(),
  }),
  z.strictObject({
    source: z.literal('file'),
    /** SHA-256 of the file's bytes. */
    digest: hex32,
    modifiedAt: when,
    ageSeconds: policyAge,
  }),
  z.strictObject({
    source: z.literal('webhook'),
    /** Host and port of the authorisation server that answered. */
    host: z.string().min(1).max(300),
    answeredAt: when,
    ageSeconds: policyAge,
  }),
]);

export const place = { hostId: hostIdField, instanceId: hex20, epoch: epochField } as const;
export const decision = {
  /** id of the attestation.submitted event: one grant event per request. */
  requestId: z.uuid(),
  /** Stream sequence of that event. */
  requestSeq: z.number().int().positive(),
  ...place,
  appId: hex20,
  composeHash: hex32.nullable(),
  checks: z.array(checkSchema).min(1).max(64),
  /** Which collateral was used: digest of the kms.collateral-recorded event's data, or null if none was reached. */
  collateralDigest: hex32.nullable(),
  /** The policy read that decided, at its epoch. Null when policy was not reached. */
  policy: policyReadSchema.nullable(),
  unsafe: unsafeField,
} as const;
