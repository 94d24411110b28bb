import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createUser, fromSeed } from '@nats-io/nkeys';
import type { Service, TrustFile } from '@vouch/domain';
import type { BusUser } from '@vouch/eventstore';
import type { Layout } from './layout.js';
import { keepPrivate, writePrivate } from './private-file.js';

export const HOSTS = ['host-a', 'host-b'] as const;
export const GATEWAY_NODE = 'gw-1';
export const KMS_ID = 'kms-1';
export const LOG_ORIGIN = 'vouch.localhost/log';

/** One service identity: its bus user (NKey) and, where it writes events, its Ed25519 signing key. */
export interface Identity {
  readonly name: string;
  readonly busUser: BusUser;
  readonly seedFile: string;
  readonly publicNkey: string;
  /** Null for users that author no events, and for the KMS, whose event key derives from its root. */
  readonly signing: {
    readonly keyFile: string;
    readonly publicKey: string;
    readonly service: Service;
    readonly node: string;
  } | null;
}

/** Makes (once) and reads the identities of the development fleet. */
export function makeIdentities(layout: Layout): readonly Identity[] {
  const authors: { service: Service; node: string }[] = [
    { service: 'control-api', node: '' },
    { service: 'auditor', node: '' },
    { service: 'gateway', node: GATEWAY_NODE },
    ...HOSTS.map((node) => ({ service: 'host-worker' as const, node })),
  ];
  return [
    ...authors.map(({ service, node }) => identity(layout, { service, node } as BusUser, service, node, true)),
    identity(layout, { service: 'kms', node: '' } as BusUser, 'kms', '', false),
    identity(layout, { service: 'migration' } as BusUser, 'migration', '', false),
  ];
}

function identity(
  layout: Layout,
  busUser: BusUser,
  service: Service | 'migration',
  node: string,
  signs: boolean,
): Identity {
  const name = node === '' ? service : `${service}-${node}`;
  const seedFile = join(layout.keysFolder, `${name}.nk`);
  const seed = keepPrivate(seedFile, () => new TextDecoder().decode(createUser().getSeed()));
  const publicNkey = fromSeed(new TextEncoder().encode(seed.trim())).getPublicKey();
  if (!signs || service === 'migration') return { name, busUser, seedFile, publicNkey, signing: null };
  const keyFile = join(layout.keysFolder, `${name}.pem`);
  return { name, busUser, seedFile, publicNkey, signing: { keyFile, publicKey: ed25519File(keyFile), service, node } };
}

/** Makes (once) an Ed25519 key file (PKCS#8 PEM, 0600); answers the raw public key, base64url. */
export function ed25519File(path: string): string {
  const pem = keepPrivate(
    path,
    () => generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
  );
  return rawPublicKey(createPublicKey(createPrivateKey(pem)));
}

function rawPublicKey(key: KeyObject): string {
  const { x } = key.export({ format: 'jwk' });
  if (x === undefined) throw new TypeError('not an Ed25519 key');
  return x;
}

/** What a KMS root says of itself: public keys only. */
interface RootStatement {
  readonly keyEpoch: number;
  readonly rootCaSpki: string;
  readonly k256Pub: string;
  readonly eventKey: string;
  readonly endorsement: string;
}

/** What `kms bootstrap` prints: the first root, and those of later key epochs. */
export interface KmsStatement extends RootStatement {
  readonly later: readonly RootStatement[];
}

/** Writes the trust file: which key speaks for which service, the log's key, and the KMS root that is pinned. */
export function writeTrustFile(
  layout: Layout,
  identities: readonly Identity[],
  logPublicKey: string,
  kms: KmsStatement,
): void {
  const trust: TrustFile = {
    version: 1,
    keys: [
      ...identities.flatMap(({ signing }) =>
        signing === null ? [] : [{ service: signing.service, node: signing.node, publicKey: signing.publicKey }],
      ),
      ...[kms, ...kms.later].map(({ eventKey }) => ({ service: 'kms' as const, node: '', publicKey: eventKey })),
    ],
    log: { origin: LOG_ORIGIN, publicKey: logPublicKey },
    kmsRoot: {
      ...{ rootCaSpki: kms.rootCaSpki, k256Pub: kms.k256Pub, endorsement: kms.endorsement },
      ...(kms.later.length === 0
        ? {}
        : { later: kms.later.map(({ keyEpoch, rootCaSpki, k256Pub }) => ({ keyEpoch, rootCaSpki, k256Pub })) }),
    },
  };
  const content = `${JSON.stringify(trust, null, 2)}\n`;
  if (!existsSync(layout.trustFile) || readFileSync(layout.trustFile, 'utf8') !== content)
    writePrivate(layout.trustFile, content);
}

/** 32 random bytes, base64url: a bearer token or a passphrase. */
export function randomToken(): string {
  return randomBytes(32).toString('base64url');
}
