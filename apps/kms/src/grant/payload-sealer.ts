import { createHash } from 'node:crypto';
import type { EventData } from '@vouch/domain';
import {
  deriveAppKeys,
  deriveKey,
  encodeGrantPayload,
  InvalidKeyError,
  payloadHashOf,
  type SealedPayload,
  sealPayloadRepeatably,
} from '@vouch/keys';
import type { KmsRoot } from '../root/root-files.js';

/** The members of `grant.issued` that a payload is a function of, besides the root. */
export type PayloadInput = Pick<
  EventData<'grant.issued'>,
  'requestId' | 'appId' | 'instanceId' | 'osImageHash' | 'gatewayAppId' | 'keys'
>;

export type SealOutcome =
  | { readonly ok: true; readonly sealed: SealedPayload; readonly payloadHash: string }
  /** The guest's HPKE key is of small order: nothing can be sealed to it. */
  | { readonly ok: false; readonly reason: string };

/**
 * Makes and seals payloads, and makes the same bytes again: the event carries the payload's hash, so a payload that was
 * lost between append and delivery must be re-made bit by bit, by any replica. Everything in it is a function of the
 * root and of members of the event. HPKE's ephemeral key is derived as well:
 *
 *   seed = deriveKey(root CA scalar, ["vouch-grant-seal-v1", request id, guest HPKE key, SHA-256(plaintext)], 32)
 *
 * The seed is secret because the root is, and covers recipient, request and plaintext, so that no two plaintexts ever
 * share a key and nonce (the construction of a synthetic IV); equal inputs give equal bytes and reveal only that.
 */
export class PayloadSealer {
  constructor(private readonly root: KmsRoot) {}

  /** Generation of the root keys that payloads are derived from. */
  get keyEpoch(): number {
    return this.root.keyEpoch;
  }

  async seal(input: PayloadInput): Promise<SealOutcome> {
    const { requestId } = input;
    const recipient = Buffer.from(input.keys.hpke, 'hex');
    const plaintext = this.#plaintext(input);
    const digest = createHash('sha256').update(plaintext).digest();
    const context = ['vouch-grant-seal-v1', requestId, recipient, digest];
    const seed = this.root.keys.useCaScalar((ca) => deriveKey(ca, context, 32));
    try {
      const sealed = await sealPayloadRepeatably(recipient, requestId, plaintext, seed);
      return { ok: true, sealed, payloadHash: payloadHashOf(sealed) };
    } catch (error) {
      if (!(error instanceof InvalidKeyError)) throw error;
      return { ok: false, reason: 'hpkeKey cannot be sealed to' };
    } finally {
      seed.fill(0);
      plaintext.fill(0);
    }
  }

  #plaintext({ appId, instanceId, osImageHash, gatewayAppId }: PayloadInput): Uint8Array {
    const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
    const keys = deriveAppKeys(this.root.keys, Buffer.from(appId, 'hex'), Buffer.from(instanceId, 'hex'));
    const payload = encodeGrantPayload({
      diskCryptKey: hex(keys.diskCryptKey),
      envCryptKey: hex(keys.envCryptKey),
      k256Key: hex(keys.k256Key),
      k256Signature: hex(keys.k256Signature),
      caCert: this.root.rootCaCert,
      gatewayAppId,
      osImageHash,
      keyProvider: { name: 'kms', id: hex(this.root.keys.caSpki) },
    });
    for (const secret of [keys.diskCryptKey, keys.envCryptKey, keys.k256Key]) secret.fill(0);
    return payload;
  }
}
