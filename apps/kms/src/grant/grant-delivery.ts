import { kmsEventKey } from '@vouch/keys';
import type { FieldLogger } from '@vouch/platform';
import type { KmsRoot } from '../root/root-files.js';
import type { StoredGrant } from './grant-log.js';
import type { PayloadSealer } from './payload-sealer.js';
import type { ReceiptSource } from './receipt-source.js';
import type { SealedMessage } from './sealed-message.js';
import type { SealedPublisher } from './sealed-publisher.js';

export interface GrantDeliveryParts {
  readonly root: KmsRoot;
  readonly sealer: PayloadSealer;
  readonly receipts: ReceiptSource;
  readonly publisher: SealedPublisher;
  readonly logger: FieldLogger;
}

/** Brings a decision that is in the log to its guest, with the proof that it is there. */
export class GrantDelivery {
  readonly #kms: SealedMessage['kms'];

  constructor(private readonly parts: GrantDeliveryParts) {
    const { keys } = parts.root;
    const eventKey = kmsEventKey(keys);
    this.#kms = {
      rootCaSpki: Buffer.from(keys.caSpki).toString('hex'),
      eventKey: Buffer.from(eventKey.rawPublicKey).toString('hex'),
      endorsement: Buffer.from(eventKey.endorsement).toString('base64'),
    };
  }

  /** Resolves when the bus has stored the message. Throws retryable errors; nothing has left the KMS then. */
  async deliver(grant: StoredGrant): Promise<void> {
    const sealed = await this.#sealed(grant);
    if (sealed === undefined) return;
    const receipt = await this.parts.receipts.receiptOf(grant.seq, grant.bytes);
    const { requestId, hostId, instanceId } = grant.envelope.data;
    const outcome = grant.envelope.type === 'grant.issued' ? 'issued' : 'denied';
    await this.parts.publisher.publish({ hostId, instanceId }, { requestId, outcome, receipt, sealed, kms: this.#kms });
    this.parts.logger.info({ requestId, instanceId, hostId, outcome, seq: grant.seq }, 'decision delivered');
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
