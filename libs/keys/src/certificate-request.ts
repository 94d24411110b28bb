import { type KeyObject, sign, verify } from 'node:crypto';
import { canonicalText } from './canonical-text.js';
import { p256PublicKey } from './p256.js';

/** What a granted guest asks the KMS to certify. Hex in lower case. */
export interface CertificateRequest {
  readonly version: 1;
  /** 20 bytes. */
  readonly appId: string;
  /** 20 bytes. */
  readonly instanceId: string;
  readonly epoch: number;
  /** Stream sequence of the grant that attested the key this request is signed with. */
  readonly grantSeq: number;
  /** DER SubjectPublicKeyInfo of the key to certify (P-256, 91 bytes). */
  readonly publicKey: string;
  /** Common name; may be empty. */
  readonly subject: string;
  /** DNS names; text that parses as an IP address becomes an iPAddress. */
  readonly altNames: readonly string[];
  readonly usages: readonly CertificateUsage[];
  /** Validity in seconds since 1970; absent: the KMS decides. */
  readonly notBefore?: number;
  readonly notAfter?: number;
}

export type CertificateUsage = 'serverAuth' | 'clientAuth';

/** A request as it travels (host API and bus): the exact canonical text and a signature over it. */
export interface SignedCertificateRequest {
  readonly statement: string;
  /** ECDSA P-256/SHA-256 (DER, base64) by the guest's attested TLS identity key over {@link certificateRequestBytes}. */
  readonly signature: string;
}

/** Why a request is refused: a value, since a guest may send anything. */
export interface CertificateRequestRefusal {
  readonly ok: false;
  readonly code: 'request-malformed' | 'request-signature-invalid';
  readonly reason: string;
}

const CONTEXT = 'vouch-certificate-request-v1\n';
const MAX_STATEMENT_CHARS = 16 * 1024;
const MAX_ALT_NAMES = 32;
const MAX_NAME_CHARS = 253;
const MAX_SUBJECT_CHARS = 64;
const HEX20 = /^[0-9a-f]{40}$/;
const SPKI = /^[0-9a-f]{182}$/;
const USAGES: readonly unknown[] = ['serverAuth', 'clientAuth'];
const FIELDS = new Set([
  'version',
  'appId',
  'instanceId',
  'epoch',
  'grantSeq',
  'publicKey',
  'subject',
  'altNames',
  'usages',
  'notBefore',
  'notAfter',
]);

/** The signed bytes: "vouch-certificate-request-v1\n" and the canonical JSON text. */
export function certificateRequestBytes(statement: string): Uint8Array {
  return new TextEncoder().encode(CONTEXT + statement);
}

/** Signs a request with the guest's attested P-256 identity key. Throws TypeError for a request outside its form. */
export function signCertificateRequest(request: CertificateRequest, identityKey: KeyObject): SignedCertificateRequest {
  const problem = problemOf(request as unknown as Record<string, unknown>);
  if (problem !== undefined) throw new TypeError(`certificate request: ${problem}`);
  const statement = canonicalText(request);
  return { statement, signature: sign('sha256', certificateRequestBytes(statement), identityKey).toString('base64') };
}

/**
 * Checks form and signature against the attested identity key (91-byte SPKI, from the grant). Everything else (that the
 * grant is the instance's current one, that ids and epoch are its own) is for the caller.
 */
export function verifyCertificateRequest(
  signed: SignedCertificateRequest,
  identityKeySpki: Uint8Array,
): { readonly ok: true; readonly request: CertificateRequest } | CertificateRequestRefusal {
  const { statement, signature } = signed;
  if (typeof statement !== 'string' || typeof signature !== 'string' || statement.length > MAX_STATEMENT_CHARS) {
    return malformed('needs a text "statement" of at most 16384 characters and a text "signature"');
  }
  const key = p256PublicKey(identityKeySpki);
  if (!verify('sha256', certificateRequestBytes(statement), key, Buffer.from(signature, 'base64'))) {
    return { ok: false, code: 'request-signature-invalid', reason: 'not signed by the attested identity key' };
  }
  let json: unknown;
  try {
    json = JSON.parse(statement);
  } catch {
    return malformed('the statement is not JSON');
  }
  if (typeof json !== 'object' || json === null) return malformed('the statement is not an object');
  const problem = problemOf(json as Record<string, unknown>);
  if (problem !== undefined) return malformed(problem);
  if (canonicalText(json) !== statement) return malformed('the statement is not canonical JSON');
  return { ok: true, request: json as CertificateRequest };
}

/** Ids a request claims, read before its signature can be checked (they select the key to check it with). */
export function certificateRequestClaims(
  signed: SignedCertificateRequest,
):
  | { readonly appId: string; readonly instanceId: string; readonly epoch: number; readonly grantSeq: number }
  | undefined {
  if (typeof signed.statement !== 'string' || signed.statement.length > MAX_STATEMENT_CHARS) return undefined;
  try {
    const json = JSON.parse(signed.statement) as Record<string, unknown> | null;
    return json !== null && problemOf(json) === undefined ? (json as unknown as CertificateRequest) : undefined;
  } catch {
    return undefined;
  }
}

function malformed(reason: string): CertificateRequestRefusal {
  return { ok: false, code: 'request-malformed', reason };
}

function problemOf(fields: Record<string, unknown>): string | undefined {
  const unknownField = Object.keys(fields).find((name) => !FIELDS.has(name));
  if (unknownField !== undefined) return 'has an unknown field';
  if (fields.version !== 1) return 'version must be 1';
  for (const name of ['appId', 'instanceId'] as const) {
    if (!matches(fields[name], HEX20)) return `${name} must be 40 lower-case hex digits`;
  }
  if (!matches(fields.publicKey, SPKI)) return 'publicKey must be a P-256 SubjectPublicKeyInfo, 182 hex digits';
  for (const name of ['epoch', 'grantSeq'] as const) {
    if (!isPositive(fields[name])) return `${name} must be a positive integer`;
  }
  return problemOfNames(fields) ?? problemOfWindow(fields);
}

function problemOfNames(fields: Record<string, unknown>): string | undefined {
  const { subject, altNames, usages } = fields;
  if (typeof subject !== 'string' || subject.length > MAX_SUBJECT_CHARS)
    return 'subject must be text of at most 64 characters';
  if (!Array.isArray(altNames) || altNames.length > MAX_ALT_NAMES) return 'altNames must be a list of at most 32 names';
  if (!altNames.every((name) => matches(name, /^[\x21-\x7e]+$/) && name.length <= MAX_NAME_CHARS)) {
    return 'altNames must hold ASCII names of at most 253 characters';
  }
  if (
    !Array.isArray(usages) ||
    new Set(usages).size !== usages.length ||
    !usages.every((use) => USAGES.includes(use))
  ) {
    return 'usages must hold serverAuth and clientAuth at most once each';
  }
  return undefined;
}

function problemOfWindow(fields: Record<string, unknown>): string | undefined {
  const { notBefore, notAfter } = fields;
  for (const [name, value] of [
    ['notBefore', notBefore],
    ['notAfter', notAfter],
  ] as const) {
    if (value !== undefined && !isPositive(value)) return `${name} must be seconds since 1970`;
  }
  if (notBefore !== undefined && notAfter !== undefined && (notBefore as number) >= (notAfter as number)) {
    return 'notBefore must be earlier than notAfter';
  }
  return undefined;
}

function matches(value: unknown, form: RegExp): value is string {
  return typeof value === 'string' && form.test(value);
}

function isPositive(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0;
}
