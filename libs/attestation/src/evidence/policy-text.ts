import type { ReferenceValues } from '../appraise/policy.js';
import { toHex } from '../bytes.js';
import { type JsonReader, readJson } from '../json-reader.js';
import { Refusal } from '../refusal.js';
import { TCB_STATUSES } from '../verify/tcb-status.js';
import type { EvidencePolicy } from './evidence-policy.js';

/** A policy text has a field that is unknown, malformed, or says something no policy may say. Not retryable. */
export class InvalidPolicyError extends Error {
  readonly code = 'POLICY_INVALID';
  readonly retryable = false;
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'InvalidPolicyError';
  }
}

const CODE = 'POLICY_INVALID';
const LIST_MAX = 4096;

const HEX_LISTS = {
  appIds: 20,
  composeHashes: 32,
  osImageHashes: 32,
  deviceIds: 32,
} as const;
const REFERENCES = {
  mrSeam: 48,
  mrTd: 48,
  rtMr0: 48,
  rtMr1: 48,
  rtMr2: 48,
  mrConfigId: 48,
  mrEnclave: 32,
  mrSigner: 32,
} as const satisfies Record<keyof ReferenceValues, number>;

/** How each field is read. A field that is not here does not exist: a policy with a typing error must not be a weaker one. */
const FIELDS: Readonly<Record<keyof EvidencePolicy, (field: JsonReader) => unknown>> = {
  tee: (field) => oneOf(field, ['TDX', 'SGX']),
  rejectedAdvisories: (field) => field.array(LIST_MAX).map((entry) => entry.string()),
  minTcbEvaluationDataNumber: (field) => field.integer(0, 0xffffffff),
  minTcbLevelDate: (field) => field.time(),
  reportData: (field) => field.hex(64),
  references: readReferences,
  unsafeAcceptedStatuses: (field) =>
    field.array(TCB_STATUSES.length).map((entry) =>
      oneOf(
        entry,
        TCB_STATUSES.filter((status) => status !== 'Revoked'),
      ),
    ),
  appIds: (field) => hexList(field, HEX_LISTS.appIds),
  composeHashes: (field) => hexList(field, HEX_LISTS.composeHashes),
  osImageHashes: (field) => hexList(field, HEX_LISTS.osImageHashes),
  deviceIds: (field) => hexList(field, HEX_LISTS.deviceIds),
  // Both may be empty: apps without an instance id, key providers without an id.
  instanceIds: (field) => field.array(LIST_MAX).map((entry) => toHex(entry.hex())),
  keyProviderIds: (field) => field.array(LIST_MAX).map((entry) => toHex(entry.hex())),
  unsafeDebugAccepted: onlyTrue,
  unsafeSeptVeNotRequired: onlyTrue,
  unsafeServiceTdAccepted: onlyTrue,
  unsafeTrustAnchorAccepted: onlyTrue,
  unsafeProcessGuestAccepted: onlyTrue,
};

/**
 * Reads a policy from JSON: the fields of `EvidencePolicy`, bytes as hex, dates as ISO 8601 UTC. `{}` is the strictest.
 * @throws InvalidPolicyError naming the field
 */
export function readPolicy(text: string): EvidencePolicy {
  try {
    const root = readJson(text, 'policy', CODE);
    const policy: Record<string, unknown> = {};
    for (const name of root.members()) {
      const read = Object.hasOwn(FIELDS, name) ? FIELDS[name as keyof EvidencePolicy] : undefined;
      if (read === undefined) throw root.refuse(`has the unknown field ${JSON.stringify(name.slice(0, 64))}`);
      policy[name] = read(root.member(name));
    }
    return policy;
  } catch (error) {
    if (error instanceof Refusal) throw new InvalidPolicyError(error.message, { cause: error });
    throw error;
  }
}

/** The policy in one fixed form (sorted names, bytes as hex), for identifiers and reports. */
export function policyText(policy: EvidencePolicy): string {
  return JSON.stringify(plain(policy));
}

function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return toHex(value);
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([, entry]) => entry !== undefined);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, entry]) => [name, plain(entry)]));
}

function readReferences(field: JsonReader): ReferenceValues {
  const references: Record<string, readonly Uint8Array[]> = {};
  for (const name of field.members()) {
    const sizeBytes = Object.hasOwn(REFERENCES, name) ? REFERENCES[name as keyof ReferenceValues] : undefined;
    if (sizeBytes === undefined) throw field.refuse(`has the unknown field ${JSON.stringify(name.slice(0, 64))}`);
    references[name] = field
      .member(name)
      .array(LIST_MAX)
      .map((entry) => entry.hex(sizeBytes));
  }
  return references;
}

function hexList(field: JsonReader, sizeBytes: number): readonly string[] {
  return field.array(LIST_MAX).map((entry) => toHex(entry.hex(sizeBytes)));
}

function oneOf<T extends string>(field: JsonReader, allowed: readonly T[]): T {
  const text = field.string();
  const found = allowed.find((candidate) => candidate === text);
  if (found === undefined) throw field.refuse(`is not one of ${allowed.join(', ')}`);
  return found;
}

/** A weakening is named or absent: `false` would read as a choice where there is none. */
function onlyTrue(field: JsonReader): true {
  if (!field.isTrue) throw field.refuse('can only be true; leave it out for the strict rule');
  return true;
}
