import { z } from 'zod';
import {
  base64,
  checkSchema,
  hex,
  hex20,
  hex32,
  hostIdField,
  policyReadSchema,
  unsafeField,
  when,
} from './event-fields.js';

/** What every decision of the dstack wire says; there is no placement: a plain dstack guest knows no hosts or epochs. */
const wireDecision = {
  kmsId: hostIdField,
  /** Made by the KMS, one per call. */
  requestId: z.uuid(),
  method: z.enum(['GetAppKey', 'GetKmsKey', 'SignCert']),
  /** What was judged, as it came, so that anyone can judge it again. */
  evidence: z.strictObject({
    form: z.enum(['client-certificate', 'csr-v1', 'csr-v2']),
    /** DER certificate, or SCALE certificate signing request. */
    bytes: base64.max(128 * 1024),
    /** SHA-256 of those bytes. */
    digest: hex32,
    /** vm_config that counted: of the request, else of the attestation. */
    vmConfig: z.string().max(32 * 1024),
  }),
  checks: z.array(checkSchema).min(1).max(80),
  collateralDigest: hex32.nullable(),
  policy: policyReadSchema.nullable(),
  unsafe: unsafeField,
} as const;

const wireRelease = {
  ...wireDecision,
  policy: policyReadSchema,
  appId: hex20,
  composeHash: hex32,
  /** Empty for apps without an instance id. */
  instanceId: z.string().regex(/^([0-9a-f]{40})?$/),
  osImageHash: hex32,
  mrAggregated: hex32,
  mrSystem: hex32,
  deviceId: hex32,
  tcbStatus: z.string(),
  advisoryIds: z.array(z.string()),
  keyEpoch: z.number().int().nonnegative(),
  /** P-256 key the evidence is bound to, DER SubjectPublicKeyInfo: of the TLS client, or the one that was certified. */
  boundKey: hex.length(182),
} as const;

/** GetAppKey: an app's keys left over the dstack wire. */
export const appKeysReleased = z.strictObject({
  ...wireRelease,
  /** As the policy's owner wrote it. */
  gatewayAppId: z.string().max(256),
});

/** GetKmsKey: both root keys left. */
export const rootKeysReleased = z.strictObject(wireRelease);

/** SignCert. */
export const certificateSigned = z.strictObject({
  ...wireRelease,
  /** SHA-256 of the certificate DER. */
  fingerprint: hex32,
  serial: hex,
  subject: z.string().max(256),
  altNames: z.array(z.string().max(253)).max(32),
  notBefore: when,
  notAfter: when,
});

/** Any of the three, refused for evidence that a genuine platform had made. */
export const releaseRefused = z.strictObject({
  ...wireDecision,
  /** Null when the event log was not believed. */
  appId: hex20.nullable(),
  composeHash: hex32.nullable(),
  failedCheck: z.string().min(1).max(64),
  reason: z.string().min(1).max(2000),
});
