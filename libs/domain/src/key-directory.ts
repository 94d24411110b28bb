import { createPublicKey, type KeyObject } from 'node:crypto';
import { z } from 'zod';
import { type Service, services } from './event-catalog.js';
import { keyIdOf } from './key-id.js';

/**
 * The trust file: which Ed25519 key belongs to which service. It is configuration that an operator distributes next to
 * the services, not something the bus can change. `node` is the host id of a host-worker or the node id of a gateway.
 * `kmsRoot` pins the KMS: its root CA key and the endorsement of its event key (checked by libs/keys consumers).
 * `log` names the transparency log: the origin line of its checkpoints and the key that signs them.
 */
export const trustFileSchema = z.strictObject({
  version: z.literal(1),
  keys: z.array(
    z.strictObject({
      service: z.enum(services),
      node: z.string().max(64),
      /** Raw 32-byte Ed25519 public key, base64url. */
      publicKey: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
    }),
  ),
  log: z.strictObject({ origin: z.string().min(1), publicKey: z.string().regex(/^[A-Za-z0-9_-]{43}$/) }),
  kmsRoot: z
    .strictObject({
      /** DER SubjectPublicKeyInfo of the P-256 root CA key, hex (91 bytes). */
      rootCaSpki: z.string().regex(/^[0-9a-f]{182}$/),
      /** Compressed secp256k1 root public key, hex (33 bytes). */
      k256Pub: z.string().regex(/^[0-9a-f]{66}$/),
      /** ECDSA P-256/SHA-256 (DER, base64url) by the root CA key over "vouch-kms-event-key-v1\n" || raw Ed25519 key. */
      endorsement: z.string().min(1),
      /** Roots of later key epochs that guests take as this KMS's too: written here before such an epoch is activated. */
      later: z
        .array(
          z.strictObject({
            keyEpoch: z.number().int().positive(),
            rootCaSpki: z.string().regex(/^[0-9a-f]{182}$/),
            k256Pub: z.string().regex(/^[0-9a-f]{66}$/),
          }),
        )
        .max(64)
        .optional(),
    })
    .optional(),
});

export type TrustFile = z.infer<typeof trustFileSchema>;

export interface KeyDirectoryEntry {
  readonly service: Service;
  readonly node: string;
  readonly keyid: string;
  readonly publicKey: KeyObject;
}

/** Looks author keys up by key id. Immutable: a changed trust file makes a new directory. */
export class KeyDirectory {
  readonly #byId: ReadonlyMap<string, KeyDirectoryEntry>;

  constructor(readonly trust: TrustFile) {
    const byId = new Map<string, KeyDirectoryEntry>();
    for (const { service, node, publicKey: raw } of trust.keys) {
      const publicKey = ed25519PublicKey(raw);
      const keyid = keyIdOf(publicKey);
      if (byId.has(keyid)) throw new TypeError(`trust file: key ${keyid} is listed twice`);
      byId.set(keyid, { service, node, keyid, publicKey });
    }
    this.#byId = byId;
  }

  find(keyid: string): KeyDirectoryEntry | undefined {
    return this.#byId.get(keyid);
  }
}

/** Imports a raw 32-byte Ed25519 public key given as base64url. */
export function ed25519PublicKey(rawBase64Url: string): KeyObject {
  return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: rawBase64Url }, format: 'jwk' });
}
