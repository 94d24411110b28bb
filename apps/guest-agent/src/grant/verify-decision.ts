import {
  type AuthoredEvent,
  type Claims,
  type EventData,
  ed25519PublicKey,
  KeyDirectory,
  readEvent,
  type TrustFile,
  verifyAuthor,
} from '@vouch/domain';
import { payloadHashOf, type SealedPayload, verifyEndorsement } from '@vouch/keys';
import { verifyReceipt } from '@vouch/transparency';
import { AgentFailure } from '../agent-failure.js';
import type { SealedMessage } from './sealed-message.js';

/** What the guest knows on its own about the request it made. */
export interface OwnRequest {
  readonly requestId: string;
  readonly claims: Claims;
  /** SHA-256 of the app-compose bytes the guest measured, hex. */
  readonly composeHash: string;
  /** `key_provider_id` of the measured compose: hex SubjectPublicKeyInfo of the only KMS root to accept, or empty. */
  readonly pinnedRoot: string;
  readonly trust: TrustFile;
}

/** A decision that is the KMS's own, about this very request, and in the log under a signed checkpoint. */
export type VerifiedDecision =
  | {
      readonly outcome: 'issued';
      readonly grantSeq: number;
      readonly grant: EventData<'grant.issued'>;
      readonly sealed: SealedPayload;
      /** Hex SubjectPublicKeyInfo of the KMS root that endorsed the decision's author. */
      readonly rootCaSpki: string;
    }
  | { readonly outcome: 'denied'; readonly denial: EventData<'grant.denied'> };

/**
 * Verifies a decision before anything in it is used: KMS root as pinned, root endorses the event key, receipt leads to a
 * checkpoint of the known log, the event in it is signed by the event key, it is about this request, instance, placement
 * and these keys, and its payload hash is that of the sealed bytes. Throws AgentFailure `kms-root-unknown` or
 * `grant-unverifiable`.
 */
export function verifyDecision(message: SealedMessage, own: OwnRequest): VerifiedDecision {
  const { kms } = message;
  if (message.requestId !== own.requestId) throw refuse('it answers another request');
  assertRoot(kms.rootCaSpki, own);
  const endorsed = verifyEndorsement({
    rootCaSpki: Buffer.from(kms.rootCaSpki, 'hex'),
    eventKey: Buffer.from(kms.eventKey, 'hex'),
    endorsement: Buffer.from(kms.endorsement, 'base64'),
  });
  if (!endorsed) throw refuse('the KMS root does not endorse its event key');
  const { seq, event } = readReceipt(message, own);
  assertSignedBy(event, kms.eventKey, own.trust);
  return message.outcome === 'issued'
    ? issuedDecision(message, own, event, seq)
    : { outcome: 'denied', denial: deniedDecision(event, own) };
}

/** KMS roots of the trust file: the first key epoch's and those of later ones. */
export function knownRoots({
  kmsRoot,
}: TrustFile): readonly { readonly rootCaSpki: string; readonly k256Pub: string }[] {
  return kmsRoot === undefined ? [] : [kmsRoot, ...(kmsRoot.later ?? [])];
}

function assertRoot(rootCaSpki: string, { pinnedRoot, trust }: OwnRequest): void {
  const trusted = knownRoots(trust).map((root) => root.rootCaSpki);
  if (pinnedRoot === '' && trusted.length === 0) {
    throw new AgentFailure('kms-root-unknown', 'neither key_provider_id nor the trust file names a KMS root');
  }
  const isPinned = pinnedRoot === '' || pinnedRoot === rootCaSpki;
  if (!isPinned || (trusted.length > 0 && !trusted.includes(rootCaSpki))) {
    const source = isPinned ? 'the trust file' : 'key_provider_id of app-compose.json';
    throw new AgentFailure('grant-unverifiable', `Unexpected key provider id: not the KMS root that ${source} names`);
  }
}

function readReceipt(message: SealedMessage, { trust, claims }: OwnRequest): { seq: number; event: AuthoredEvent } {
  try {
    const verifier = { origin: trust.log.origin, publicKey: ed25519PublicKey(trust.log.publicKey) };
    const { seq, event } = verifyReceipt(message.receipt, verifier);
    return { seq, event: readEvent(event, `evt.grant.${claims.instanceId}`) };
  } catch (cause) {
    throw refuse(`its receipt does not verify: ${(cause as Error).message}`, cause);
  }
}

/** The event's author must be the endorsed key itself: a directory with that one key and no other. */
function assertSignedBy(event: AuthoredEvent, eventKeyHex: string, trust: TrustFile): void {
  const publicKey = Buffer.from(eventKeyHex, 'hex').toString('base64url');
  const node = trust.keys.find((key) => key.service === 'kms' && key.publicKey === publicKey)?.node ?? '';
  const directory = new KeyDirectory({ ...trust, keys: [{ service: 'kms', node, publicKey }] });
  try {
    verifyAuthor(event, directory);
  } catch (cause) {
    throw refuse(`its event is not signed by the KMS: ${(cause as Error).message}`, cause);
  }
}

function issuedDecision(message: SealedMessage, own: OwnRequest, event: AuthoredEvent, seq: number): VerifiedDecision {
  const { envelope } = event;
  if (envelope.type !== 'grant.issued') throw refuse(`it says issued, its event is ${envelope.type}`);
  const grant = envelope.data;
  const { claims } = own;
  assertSame('composeHash', grant.composeHash, own.composeHash);
  assertSameRequest(grant, own);
  assertSame('keys.hpke', grant.keys.hpke, claims.hpkeKey);
  assertSame('keys.wireguard', grant.keys.wireguard, claims.wireguardKey);
  assertSame('keys.tls', grant.keys.tls, claims.tlsKey);
  if (message.sealed === null) throw refuse('it is issued without a payload');
  const sealed = {
    enc: Buffer.from(message.sealed.enc, 'base64'),
    ciphertext: Buffer.from(message.sealed.ciphertext, 'base64'),
  };
  assertSame('payloadHash', payloadHashOf(sealed), grant.payloadHash);
  return { outcome: 'issued', grantSeq: seq, grant, sealed, rootCaSpki: message.kms.rootCaSpki };
}

function deniedDecision({ envelope }: AuthoredEvent, own: OwnRequest): EventData<'grant.denied'> {
  if (envelope.type !== 'grant.denied') throw refuse(`it says denied, its event is ${envelope.type}`);
  assertSameRequest(envelope.data, own);
  return envelope.data;
}

function assertSameRequest(
  decision: EventData<'grant.issued' | 'grant.denied'>,
  { requestId, claims }: OwnRequest,
): void {
  assertSame('requestId', decision.requestId, requestId);
  assertSame('instanceId', decision.instanceId, claims.instanceId);
  assertSame('appId', decision.appId, claims.appId);
  assertSame('hostId', decision.hostId, claims.hostId);
  assertSame('epoch', String(decision.epoch), String(claims.epoch));
}

function assertSame(field: string, actual: string, expected: string): void {
  if (actual !== expected) throw refuse(`its ${field} is not that of this guest`);
}

function refuse(reason: string, cause?: unknown): AgentFailure {
  return new AgentFailure('grant-unverifiable', `the decision is not accepted: ${reason}`, false, { cause });
}
