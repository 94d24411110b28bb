import { X509Certificate } from 'node:crypto';
import { decodeGrantPayload, type GrantPayload, k256PublicKey, openPayload, verifyAppKeySignature } from '@vouch/keys';
import { AgentFailure } from '../agent-failure.js';
import type { VerifiedDecision } from './verify-decision.js';

/** A grant whose payload is open and agrees with its event. */
export interface OpenedGrant {
  readonly payload: GrantPayload;
  readonly decision: Extract<VerifiedDecision, { outcome: 'issued' }>;
}

/**
 * Opens the payload of a verified grant and compares it with the event: key provider, OS image hash, root certificate,
 * and (when the trust file names the KMS's secp256k1 root) the signature over the app key. Throws AgentFailure
 * `grant-unverifiable`.
 */
export async function openGrant(
  decision: OpenedGrant['decision'],
  hpkePrivateKey: Uint8Array,
  kmsK256Pub: string | undefined,
): Promise<OpenedGrant> {
  const { grant, rootCaSpki } = decision;
  let payload: GrantPayload;
  try {
    payload = decodeGrantPayload(await openPayload(hpkePrivateKey, grant.requestId, decision.sealed));
  } catch (cause) {
    throw refuse((cause as Error).message, cause);
  }
  if (payload.keyProvider.id !== rootCaSpki) throw refuse('its key provider is not the KMS that granted it');
  if (payload.osImageHash !== grant.osImageHash) throw refuse('its OS image hash is not that of the event');
  if (spkiOf(payload.caCert) !== rootCaSpki) throw refuse('its root certificate is not of the KMS root key');
  if (kmsK256Pub !== undefined) {
    const signed = verifyAppKeySignature({
      kmsK256PublicKey: Buffer.from(kmsK256Pub, 'hex'),
      appId: Buffer.from(grant.appId, 'hex'),
      appPublicKey: k256PublicKey(Buffer.from(payload.k256Key, 'hex')),
      signature: Buffer.from(payload.k256Signature, 'hex'),
    });
    if (!signed) throw refuse('the KMS did not sign its app key');
  }
  return { payload, decision };
}

function spkiOf(pem: string): string {
  try {
    return new X509Certificate(pem).publicKey.export({ format: 'der', type: 'spki' }).toString('hex');
  } catch (cause) {
    throw refuse('its root certificate cannot be read', cause);
  }
}

function refuse(reason: string, cause?: unknown): AgentFailure {
  return new AgentFailure('grant-unverifiable', `the granted payload is not accepted: ${reason}`, false, { cause });
}
