import type { StoredEvent } from '@vouch/eventstore';
import { kmsEventKey } from '@vouch/keys';
import type { FieldLogger } from '@vouch/platform';
import type { CollateralRecorder } from '../collateral/collateral-recorder.js';
import type { KmsRoot } from '../root/root-files.js';
import { decideRequest } from './decide-request.js';
import type { DecisionPorts, DecisionSettings } from './decision-ports.js';
import { grantEventOf } from './grant-event.js';
import type { GrantLog, StoredGrant } from './grant-log.js';
import { type GrantRequest, grantRequestOf } from './grant-request.js';
import type { PayloadSealer } from './payload-sealer.js';
import type { ReceiptSource } from './receipt-source.js';
import type { SealedMessage } from './sealed-message.js';
import type { SealedPublisher } from './sealed-publisher.js';

export interface AnswererParts {
  readonly root: KmsRoot;
  readonly ports: DecisionPorts;
  readonly settings: DecisionSettings;
  readonly grants: GrantLog;
  readonly collateral: CollateralRecorder;
  readonly sealer: PayloadSealer;
  readonly receipts: ReceiptSource;
  readonly publisher: SealedPublisher;
  readonly logger: FieldLogger;
}

/**
 * Answers one request for keys: decide once and for ever, prove that the decision is in the log, only then deliver. Each
 * step can be repeated, so a crash anywhere ends, after redelivery, in the same one decision and the same bytes. Throws
 * retryable errors when log, chain, auditor or bus are away: nothing was released then.
 */
export class RequestAnswerer {
  readonly #kms: SealedMessage['kms'];

  constructor(private readonly parts: AnswererParts) {
    const { keys } = parts.root;
    const eventKey = kmsEventKey(keys);
    this.#kms = {
      rootCaSpki: Buffer.from(keys.caSpki).toString('hex'),
      eventKey: Buffer.from(eventKey.rawPublicKey).toString('hex'),
      endorsement: Buffer.from(eventKey.endorsement).toString('base64'),
    };
  }

  async answer(event: StoredEvent<'attestation.submitted'>): Promise<void> {
    const request = grantRequestOf(event);
    const grant = await this.#decided(request, event.envelope.corr);
    const sealed = await this.#sealed(grant);
    if (sealed === undefined) return;
    const receipt = await this.parts.receipts.receiptOf(grant.seq, grant.bytes);
    const { requestId, hostId, instanceId } = grant.envelope.data;
    const outcome = grant.envelope.type === 'grant.issued' ? 'issued' : 'denied';
    await this.parts.publisher.publish({ hostId, instanceId }, { requestId, outcome, receipt, sealed, kms: this.#kms });
    this.parts.logger.info({ requestId, instanceId, hostId, outcome, seq: grant.seq }, 'decision delivered');
  }

  async #decided(request: GrantRequest, corr: string): Promise<StoredGrant> {
    const { grants, ports, settings, collateral, sealer, root, logger } = this.parts;
    const history = await grants.history(request.data.instanceId);
    const earlier = grants.decisionOf(history, request.requestId);
    if (earlier !== undefined) return earlier;
    const verdict = await decideRequest(request, ports, settings);
    if (verdict.collateral !== null) await collateral.record(verdict.collateral);
    const body = await grantEventOf(request, verdict, sealer, root.keyEpoch);
    const stored = await grants.append(request, history, body, corr);
    const { requestId, data } = request;
    const failedCheck = body.type === 'grant.denied' ? body.data.failedCheck : undefined;
    logger.info({ requestId, instanceId: data.instanceId, type: body.type, failedCheck, seq: stored.seq }, 'decided');
    return stored;
  }

  /**
   * The payload of an issued grant, null for a denial. Undefined when it cannot be made again with the hash that the
   * event carries (another root file than the one that decided): then it is never sent, and the guest has to ask anew.
   */
  async #sealed(grant: StoredGrant): Promise<SealedMessage['sealed'] | undefined> {
    if (grant.envelope.type === 'grant.denied') return null;
    const { data } = grant.envelope;
    const sealing = await this.parts.sealer.seal(data);
    if (!sealing.ok || sealing.payloadHash !== data.payloadHash) {
      const { requestId, instanceId } = data;
      this.parts.logger.error({ requestId, instanceId }, 'the payload does not match its grant: nothing is released');
      return undefined;
    }
    const { enc, ciphertext } = sealing.sealed;
    return { enc: Buffer.from(enc).toString('base64'), ciphertext: Buffer.from(ciphertext).toString('base64') };
  }
}
