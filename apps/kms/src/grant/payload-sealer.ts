import { createHash } from 'node:crypto';
import type { EventData } from '@vouch/domain';
import {
  deriveAppK256Key,
  deriveDiskCryptKey,
  deriveEnvCryptKey,
  deriveEpochKey,
  deriveKey,
  type EarlierKeys,
  encodeGrantPayload,
  InvalidKeyError,
  k256PublicKey,
  payloadHashOf,
  type SealedPayload,
  sealPayloadRepeatably,
  signAppKey,
} from '@vouch/keys';
import type { Keyring } from '../root/keyring.js';
import type { KmsRoot } from '../root/root-files.js';

/** The members of `grant.issued` that a payload is a function of, besides the roots. */
export type PayloadInput = Pick<
  EventData<'grant.issued'>,
  'requestId' | 'appId' | 'instanceId' | 'osImageHash' | 'gatewayAppId' | 'keys' | 'keyEpoch' | 'earlierKeyEpochs'
>;

export type SealOutcome =
  | { readonly ok: true; readonly sealed: SealedPayload; readonly payloadHash: string }
  /** The guest's HPKE key is of small order: nothing can be sealed to it. */
  | { readonly ok: false; readonly reason: string };

/** More app signatures than this are not remembered; the oldest is forgotten first. */
const MAX_REMEMBERED = 10_000;

/**
 * Makes and seals payloads, and makes the same bytes again: the event carries the payload's hash, so a payload that was
 * lost between append and delivery must be re-made bit by bit, by any replica. Everything in it is a function of the
 * roots and of members of the event. HPKE's ephemeral key is derived as well, from the root of the grant's key epoch:
 *
 *   seed = deriveKey(root CA scalar, ["vouch-grant-seal-v1", request id, guest HPKE key, SHA-256(plaintext)], 32)
 *
 * (from epoch 1 on deriveEpochKey with that purpose). The seed is secret because the root is, and covers recipient, request
 * and plaintext, so that no two plaintexts ever share a key and nonce (the construction of a synthetic IV); equal inputs
 * give equal bytes and reveal only that.
 *
 * What is remembered between payloads is public: the root's signature over an app's key, which costs the most.
 */
export class PayloadSealer {
  readonly #appSignatures = new Map<string, string>();

  constructor(private readonly keyring: Keyring) {}

  /** Throws KeyEpochMissingError when this replica does not hold the root of a named epoch. */
  async seal(input: PayloadInput): Promise<SealOutcome> {
    const { requestId } = input;
    const root = await this.keyring.root(input.keyEpoch);
    const recipient = Buffer.from(input.keys.hpke, 'hex');
    const plaintext = await this.#plaintext(root, input);
    const digest = createHash('sha256').update(plaintext).digest();
    const seed = sealingSeed(root, [requestId, recipient, digest]);
    try {
      const sealed = sealPayloadRepeatably(recipient, requestId, plaintext, seed);
      return { ok: true, sealed, payloadHash: payloadHashOf(sealed) };
    } catch (error) {
      if (!(error instanceof InvalidKeyError)) throw error;
      return { ok: false, reason: 'hpkeKey cannot be sealed to' };
    } finally {
      seed.fill(0);
      plaintext.fill(0);
    }
  }

  async #plaintext(root: KmsRoot, input: PayloadInput): Promise<Uint8Array> {
    const { osImageHash, gatewayAppId, earlierKeyEpochs = [] } = input;
    const appId = Buffer.from(input.appId, 'hex');
    const instanceId = Buffer.from(input.instanceId, 'hex');
    const earlier: EarlierKeys[] = [];
    for (const keyEpoch of earlierKeyEpochs) {
      const { keys } = await this.keyring.root(keyEpoch);
      earlier.push({
        keyEpoch,
        diskCryptKey: takeHex(deriveDiskCryptKey(keys, appId, instanceId)),
        envCryptKey: takeHex(deriveEnvCryptKey(keys, appId)),
      });
    }
    const k256Key = deriveAppK256Key(root.keys, appId);
    const k256Signature = this.#appSignature(root, appId, k256Key);
    return encodeGrantPayload({
      diskCryptKey: takeHex(deriveDiskCryptKey(root.keys, appId, instanceId)),
      envCryptKey: takeHex(deriveEnvCryptKey(root.keys, appId)),
      k256Key: takeHex(k256Key),
      k256Signature,
      caCert: root.rootCaCert,
      gatewayAppId,
      osImageHash,
      keyProvider: { name: 'kms', id: Buffer.from(root.keys.caSpki).toString('hex') },
      ...(earlier.length === 0 ? {} : { earlier }),
    });
  }

  #appSignature({ keys, keyEpoch }: KmsRoot, appId: Buffer, k256Key: Uint8Array): string {
    const name = `${keyEpoch} ${appId.toString('hex')}`;
    const known = this.#appSignatures.get(name);
    if (known !== undefined) return known;
    const signature = Buffer.from(signAppKey(keys, appId, k256PublicKey(k256Key))).toString('hex');
    const [oldest] = this.#appSignatures.keys();
    if (this.#appSignatures.size >= MAX_REMEMBERED && oldest !== undefined) this.#appSignatures.delete(oldest);
    this.#appSignatures.set(name, signature);
    return signature;
  }
}

function sealingSeed({ keys, keyEpoch }: KmsRoot, parts: readonly (string | Uint8Array)[]): Uint8Array {
  const purpose = 'vouch-grant-seal-v1';
  return keys.useCaScalar((ca) =>
    keyEpoch === 0 ? deriveKey(ca, [purpose, ...parts], 32) : deriveEpochKey(ca, { keyEpoch, purpose, parts }, 32),
  );
}

/** Hex of a derived secret, whose bytes are overwritten: the payload's text is the only copy. */
function takeHex(secret: Uint8Array): string {
  const text = Buffer.from(secret).toString('hex');
  secret.fill(0);
  return text;
}
