import { canonicalText } from './canonical-text.js';
import { PayloadFormError } from './errors.js';

/** The plaintext of a grant, as text fields: hex unless stated. What a guest may know after it was granted. */
export interface GrantPayload {
  /** 32 bytes. */
  readonly diskCryptKey: string;
  /** 32 bytes. */
  readonly envCryptKey: string;
  /** 32 bytes. */
  readonly k256Key: string;
  /** 65 bytes. */
  readonly k256Signature: string;
  /** Root CA certificate, PEM. */
  readonly caCert: string;
  /** App CA certificate, PEM; absent when the KMS mints it with each leaf. */
  readonly appCaCert?: string;
  /** App id of the gateway, 20 bytes, or empty. */
  readonly gatewayAppId: string;
  /** 32 bytes. */
  readonly osImageHash: string;
  readonly keyProvider: { readonly name: 'kms'; readonly id: string };
  /** Keys of earlier key epochs, oldest first: only to open what was sealed with them and seal it anew. */
  readonly earlier?: readonly EarlierKeys[];
}

/** What a guest may need of an earlier key epoch: its disk and its encrypted environment may still be of that epoch. */
export interface EarlierKeys {
  readonly keyEpoch: number;
  /** 32 bytes. */
  readonly diskCryptKey: string;
  /** 32 bytes. */
  readonly envCryptKey: string;
}

const HEX_FIELDS = {
  diskCryptKey: /^[0-9a-f]{64}$/,
  envCryptKey: /^[0-9a-f]{64}$/,
  k256Key: /^[0-9a-f]{64}$/,
  k256Signature: /^[0-9a-f]{130}$/,
  gatewayAppId: /^([0-9a-f]{40})?$/,
  osImageHash: /^[0-9a-f]{64}$/,
} as const;
const PEM = /^-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+-----END CERTIFICATE-----\n?$/;
const FIELDS = new Set([...Object.keys(HEX_FIELDS), 'caCert', 'appCaCert', 'keyProvider', 'earlier']);

/** Canonical JSON (RFC 8785) bytes of the payload. Throws PayloadFormError for a field outside its form. */
export function encodeGrantPayload(payload: GrantPayload): Uint8Array {
  assertGrantPayload(payload);
  return new TextEncoder().encode(canonicalText(payload));
}

/** Reads {@link encodeGrantPayload}. Throws PayloadFormError, which names the field and never its value. */
export function decodeGrantPayload(bytes: Uint8Array): GrantPayload {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    // The parser's own message would quote the plaintext.
    throw new PayloadFormError('the grant payload is not UTF-8 JSON');
  }
  assertGrantPayload(json);
  return json;
}

function assertGrantPayload(value: unknown): asserts value is GrantPayload {
  if (typeof value !== 'object' || value === null) throw new PayloadFormError('the grant payload is not an object');
  const fields = value as Record<string, unknown>;
  for (const name of Object.keys(fields)) {
    if (!FIELDS.has(name)) throw new PayloadFormError('the grant payload has an unknown field');
  }
  for (const [name, form] of Object.entries(HEX_FIELDS)) assertText(name, fields[name], form);
  assertText('caCert', fields.caCert, PEM);
  if (fields.appCaCert !== undefined) assertText('appCaCert', fields.appCaCert, PEM);
  const provider = (fields.keyProvider ?? {}) as Record<string, unknown>;
  assertText('keyProvider.name', provider.name, /^kms$/);
  assertText('keyProvider.id', provider.id, /^[0-9a-f]{182}$/);
  if (fields.earlier !== undefined) assertEarlier(fields.earlier);
}

function assertEarlier(earlier: unknown): void {
  if (!Array.isArray(earlier) || earlier.length === 0)
    throw new PayloadFormError('grant payload: earlier is malformed');
  for (const keys of earlier as unknown[]) {
    const { keyEpoch, diskCryptKey, envCryptKey, ...rest } = (keys ?? {}) as Record<string, unknown>;
    if (!Number.isSafeInteger(keyEpoch) || Object.keys(rest).length > 0) {
      throw new PayloadFormError('grant payload: earlier is malformed');
    }
    assertText('earlier.diskCryptKey', diskCryptKey, HEX_FIELDS.diskCryptKey);
    assertText('earlier.envCryptKey', envCryptKey, HEX_FIELDS.envCryptKey);
  }
}

function assertText(name: string, value: unknown, form: RegExp): void {
  if (typeof value !== 'string' || !form.test(value)) throw new PayloadFormError(`grant payload: ${name} is malformed`);
}
