import { z } from 'zod';
import { appKeysReleased, certificateSigned, releaseRefused, rootKeysReleased } from './dstack-events.js';
import {
  base64,
  checkSchema,
  claimsSchema,
  decision,
  epochField,
  evidenceSchema,
  hex,
  hex16,
  hex20,
  hex32,
  hostIdField,
  place,
  policyContract,
  policyNames,
  policySources,
  portField,
  resourcesSchema,
  unsafeField,
  when,
} from './event-fields.js';

/**
 * Every event type: its kind (second subject token), the one service that may write it, its subject ids, schema version
 * and data schema. The AsyncAPI document and the NATS permissions are generated from this table; nothing else says who
 * writes what.
 */
export const services = ['control-api', 'host-worker', 'kms', 'gateway', 'auditor'] as const;
export type Service = (typeof services)[number];

export {
  checkSchema,
  claimsSchema,
  evidenceSchema,
  policyNames,
  policySources,
  resourcesSchema,
} from './event-fields.js';

const keyEpochOf = { kmsId: hostIdField, keyEpoch: z.number().int().nonnegative() } as const;

interface Definition<S extends z.ZodType> {
  readonly kind: string;
  readonly writer: Service;
  readonly version: number;
  readonly data: S;
  readonly subject: (data: z.infer<S>) => readonly string[];
  /** True when the first subject id is the writing node itself (host-worker, gateway). */
  readonly perNode: boolean;
}

function define<S extends z.ZodType>(
  kind: string,
  writer: Service,
  data: S,
  subject: (data: z.infer<S>) => readonly string[],
  perNode = false,
): Definition<S> {
  return { kind, writer, version: 1, data, subject, perNode };
}

const vm = <S extends z.ZodType<{ hostId: string; instanceId: string }>>(data: S) =>
  define('vm', 'host-worker', data, (d) => [d.hostId, d.instanceId], true);

export const eventCatalog = {
  'app.registered': define(
    'app',
    'control-api',
    z.strictObject({ appId: hex20, name: z.string().min(1).max(64), owner: z.string().min(1).max(128) }),
    (d) => [d.appId],
  ),
  'release.created': define(
    'release',
    'control-api',
    z.strictObject({
      releaseId: hex16,
      appId: hex20,
      composeHash: hex32,
      /** The exact app-compose text; compose_hash is SHA-256 of its UTF-8 bytes. */
      appCompose: z
        .string()
        .min(2)
        .max(128 * 1024),
      name: z.string().min(1).max(64),
      resources: resourcesSchema,
      /** dstack encrypted env blob, hex; empty when the app has none. */
      encryptedEnv: hex.max(64 * 1024),
      /** TCP ports the app serves, from the compose file or the request. */
      ports: z.array(portField).max(32),
    }),
    (d) => [d.releaseId],
  ),
  'host.registered': define(
    'host',
    'control-api',
    z.strictObject({
      hostId: hostIdField,
      driver: z.enum(['process', 'qemu']),
      capacity: z.strictObject({ vcpu: z.number().int().positive(), memoryMiB: z.number().int().positive() }),
      unsafe: unsafeField,
    }),
    (d) => [d.hostId],
  ),
  'host.cordoned': define(
    'host',
    'control-api',
    z.strictObject({ hostId: hostIdField, reason: z.string().max(500) }),
    (d) => [d.hostId],
  ),
  'host.uncordoned': define('host', 'control-api', z.strictObject({ hostId: hostIdField }), (d) => [d.hostId]),
  'instance.created': define(
    'instance',
    'control-api',
    z.strictObject({ instanceId: hex20, appId: hex20, releaseId: hex16, composeHash: hex32, seed: hex20 }),
    (d) => [d.instanceId],
  ),
  'instance.placed': define(
    'instance',
    'control-api',
    z.strictObject({
      ...place,
      /** Address the gateway reaches the guest at: allocated with compare-and-swap, one per instance. */
      address: z.ipv4(),
      reason: z.string().max(500),
    }),
    (d) => [d.instanceId],
  ),
  'instance.stop-requested': define('instance', 'control-api', z.strictObject({ instanceId: hex20 }), (d) => [
    d.instanceId,
  ]),
  'instance.remove-requested': define('instance', 'control-api', z.strictObject({ instanceId: hex20 }), (d) => [
    d.instanceId,
  ]),
  'operation.requested': define(
    'operation',
    'control-api',
    z.strictObject({
      operationId: hex16,
      command: z.enum([
        'RegisterApp',
        'CreateRelease',
        'DeployInstance',
        'StopInstance',
        'RemoveInstance',
        'RegisterHost',
        'CordonHost',
        'UncordonHost',
      ]),
      /** The full command, so that a restarted process manager can carry it out. */
      input: z.record(z.string(), z.unknown()),
      principal: z.string().min(1).max(128),
      /** SHA-256 of method, path and body: a replayed Idempotency-Key with another request is refused. */
      requestHash: hex32,
      /** Id of the thing the operation is about. */
      target: z.string().max(64),
      deadline: when,
    }),
    (d) => [d.operationId],
  ),
  'operation.waiting': define(
    'operation',
    'control-api',
    z.strictObject({ operationId: hex16, reason: z.string().min(1).max(1000) }),
    (d) => [d.operationId],
  ),
  'operation.succeeded': define(
    'operation',
    'control-api',
    z.strictObject({ operationId: hex16, result: z.record(z.string(), z.unknown()) }),
    (d) => [d.operationId],
  ),
  'operation.failed': define(
    'operation',
    'control-api',
    z.strictObject({ operationId: hex16, code: z.string().min(1).max(64), reason: z.string().min(1).max(2000) }),
    (d) => [d.operationId],
  ),
  'vm.launched': vm(
    z.strictObject({ ...place, driver: z.enum(['process', 'qemu']), address: z.ipv4(), unsafe: unsafeField }),
  ),
  'vm.boot-progressed': vm(z.strictObject({ ...place, step: z.string().min(1).max(64), detail: z.string().max(2000) })),
  'vm.app-healthy': vm(z.strictObject({ ...place, ports: z.array(portField).max(32) })),
  'vm.launch-failed': vm(z.strictObject({ ...place, code: z.string().min(1).max(64), reason: z.string().max(2000) })),
  'vm.exited': vm(
    z.strictObject({
      ...place,
      /** Exit code of the guest, or null when a signal or a lost process ended it. */
      exitCode: z.number().int().nullable(),
      reason: z.string().max(2000),
      /** True when the exit was asked for by the desired state. */
      requested: z.boolean(),
    }),
  ),
  'vm.removed': vm(z.strictObject({ ...place })),
  'attestation.submitted': define(
    'attestation',
    'host-worker',
    z.strictObject({ ...place, evidence: evidenceSchema, claims: claimsSchema }),
    (d) => [d.hostId, d.instanceId],
    true,
  ),
  'grant.issued': define(
    'grant',
    'kms',
    z.strictObject({
      ...decision,
      composeHash: hex32,
      /** Key epoch the granted keys are derived in. */
      keyEpoch: z.number().int().nonnegative(),
      /** Earlier key epochs whose disk and env keys are in the payload too, so that the guest can re-key; ascending. */
      earlierKeyEpochs: z.array(z.number().int().nonnegative()).max(64).optional(),
      osImageHash: hex32,
      mrAggregated: hex32,
      deviceId: hex32,
      tcbStatus: z.string(),
      advisoryIds: z.array(z.string()),
      keys: z.strictObject({ hpke: hex32, wireguard: hex32, tls: hex.length(182) }),
      address: z.ipv4(),
      ports: z.array(portField).max(32),
      /** App id of the gateway at the pinned block, or empty: part of the payload, which must be re-makeable from here. */
      gatewayAppId: z.string().regex(/^([0-9a-f]{40})?$/),
      /** SHA-256 of the sealed payload bytes: the event never carries the payload. */
      payloadHash: hex32,
    }),
    (d) => [d.instanceId],
  ),
  'grant.denied': define(
    'grant',
    'kms',
    z.strictObject({ ...decision, failedCheck: z.string().min(1).max(64), reason: z.string().min(1).max(2000) }),
    (d) => [d.instanceId],
  ),
  'kms.bootstrapped': define(
    'kms',
    'kms',
    z.strictObject({
      kmsId: hostIdField,
      keyEpoch: z.number().int().nonnegative(),
      rootCaSpki: hex.length(182),
      k256Pub: hex.length(66),
      /** Raw Ed25519 event key, hex, and the root CA key's endorsement of it (DER ECDSA, base64). */
      eventKey: hex32,
      endorsement: base64,
      /** DstackKms and its chain; null when policy is not kept in a contract. */
      contract: hex20.nullable(),
      chainId: z.number().int().nullable(),
      /** Where boot policy is read; absent in older events: contract. */
      policySource: z.enum(policySources).optional(),
      unsafe: unsafeField,
    }),
    (d) => [d.kmsId],
  ),
  'kms.collateral-recorded': define(
    'kms',
    'kms',
    z.strictObject({
      kmsId: hostIdField,
      /** SHA-256 of the canonical JSON of `collateral`. */
      digest: hex32,
      fmspc: z.string().regex(/^[0-9a-f]{12}$/),
      /** QuoteCollateralV3 (attestation §3). */
      collateral: z.record(z.string(), z.string()),
    }),
    (d) => [d.kmsId],
  ),
  'kms.key-epoch-prepared': define(
    'kms',
    'kms',
    z.strictObject({
      ...keyEpochOf,
      /** The new root, hex: what an operator adds to the trust files before it is used. */
      rootCaSpki: hex.length(182),
      k256Pub: hex.length(66),
      eventKey: hex32,
      /** The new root CA key's endorsement of `eventKey` (DER ECDSA, base64). */
      endorsement: base64,
    }),
    (d) => [d.kmsId],
  ),
  'kms.key-epoch-activated': define('kms', 'kms', z.strictObject({ ...keyEpochOf }), (d) => [d.kmsId]),
  'kms.key-epoch-tainted': define(
    'kms',
    'kms',
    z.strictObject({ ...keyEpochOf, reason: z.string().min(1).max(500) }),
    (d) => [d.kmsId],
  ),
  'kms.key-epoch-revoked': define(
    'kms',
    'kms',
    z.strictObject({ ...keyEpochOf, reason: z.string().min(1).max(500) }),
    (d) => [d.kmsId],
  ),
  'certificate.issued': define(
    'certificate',
    'kms',
    z.strictObject({
      instanceId: hex20,
      appId: hex20,
      epoch: epochField,
      /** SHA-256 of the certificate DER. */
      fingerprint: hex32,
      serial: hex,
      subject: z.string().max(256),
      altNames: z.array(z.string().max(253)).max(32),
      notBefore: when,
      notAfter: when,
    }),
    (d) => [d.instanceId],
  ),
  'policy.changed': define(
    'policy',
    'kms',
    z.strictObject({
      ...policyContract,
      name: z.enum(policyNames),
      /** The hash, the address left-padded, Keccak-256 of text or bytes, or 0 for a flag. */
      value: hex32,
      enabled: z.boolean(),
      block: z.number().int().nonnegative(),
      blockHash: hex32,
      blockTime: when,
      transaction: hex32,
      /** Place within the block. */
      logIndex: z.number().int().nonnegative(),
    }),
    (d) => [d.app ?? d.contract],
  ),
  /** The chain was reorganised: that change is not part of it any more. */
  'policy.change-orphaned': define(
    'policy',
    'kms',
    z.strictObject({
      ...policyContract,
      /** Id of the policy.changed event. */
      changeId: z.uuid(),
      block: z.number().int().nonnegative(),
      /** The block that held the change, and the one that stands in its place now. */
      blockHash: hex32,
      canonicalHash: hex32,
    }),
    (d) => [d.app ?? d.contract],
  ),
  'dstack.app-keys-released': define('dstack', 'kms', appKeysReleased, (d) => [d.appId]),
  'dstack.root-keys-released': define('dstack', 'kms', rootKeysReleased, (d) => [d.appId]),
  'dstack.certificate-signed': define('dstack', 'kms', certificateSigned, (d) => [d.appId]),
  'dstack.release-refused': define('dstack', 'kms', releaseRefused, (d) => [d.appId ?? 'unknown']),
  'gateway.node-joined': define(
    'gateway',
    'gateway',
    z.strictObject({ nodeId: hostIdField, baseDomain: z.string().max(253), unsafe: unsafeField }),
    (d) => [d.nodeId],
    true,
  ),
} as const satisfies Record<string, Definition<z.ZodType>>;

export type EventType = keyof typeof eventCatalog;
export type EventData<T extends EventType> = z.infer<(typeof eventCatalog)[T]['data']>;

export type Check = z.infer<typeof checkSchema>;
export type Claims = z.infer<typeof claimsSchema>;
export type Evidence = z.infer<typeof evidenceSchema>;
export type Resources = z.infer<typeof resourcesSchema>;

export function isEventType(type: string): type is EventType {
  return Object.hasOwn(eventCatalog, type);
}
