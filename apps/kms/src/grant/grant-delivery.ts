import { keyIdOf } from '@vouch/domain';
import { endorseEventKey, kmsEventKey } from '@vouch/keys';
import type { FieldLogger } from '@vouch/platform';
import type { KeyEpochLog } from '../root/key-epoch-log.js';
import { activeKeyEpoch, type KeyEpochs, keyEpochEntry } from '../root/key-epochs.js';
import type { Keyring } from '../root/keyring.js';
import type { StoredGrant } from './grant-log.js';
import type { PayloadSealer } from './payload-sealer.js';
import type { ReceiptSource } from './receipt-source.js';
import type { SealedMessage } from './sealed-message.js';
import type { SealedPublisher } from './sealed-publisher.js';

export interface GrantDeliveryParts {
  readonly keyring: Keyring;
  readonly epochs: KeyEpochLog;
  readonly sealer: PayloadSealer;
  readonly receipts: ReceiptSource;
  readonly publisher: SealedPublisher;
  readonly logger: FieldLogger;
}

/** Brings a decision that is in the log to its guest, with the proof that it is there. */
export class GrantDelivery {
  readonly #statements = new Map<string, SealedMessage['kms']>();

  constructor(private readonly parts: GrantDeliveryParts) {}

  /** Resolves when the bus has stored the message. Throws retryable errors; nothing has left the KMS then. */
  async deliver(grant: StoredGrant): Promise<void> {
    const { epochs } = await this.parts.epochs.read();
    const withheld = withholding(grant, epochs);
    const { requestId, hostId, instanceId } = grant.envelope.data;
    if (withheld !== undefined) {
      this.parts.logger.error(
        { requestId, instanceId, reason: withheld },
        'the grant is withheld: nothing is released',
      );
      return;
    }
    const sealed = await this.#sealed(grant);
    if (sealed === undefined) return;
    const receipt = await this.parts.receipts.receiptOf(grant.seq, grant.bytes);
    const { type, data, keyid } = grant.envelope;
    const outcome = type === 'grant.issued' ? 'issued' : 'denied';
    const keyEpoch = 'keyEpoch' in data ? data.keyEpoch : (activeKeyEpoch(epochs) ?? 0);
    const kms = await this.#statement(keyEpoch, keyid);
    await this.parts.publisher.publish({ hostId, instanceId }, { requestId, outcome, receipt, sealed, kms });
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

  /** The grant's own root endorses the key that signed its event, whichever key epoch that one is of. */
  async #statement(keyEpoch: number, authorKeyId: string): Promise<SealedMessage['kms']> {
    const name = `${keyEpoch} ${authorKeyId}`;
    const known = this.#statements.get(name);
    if (known !== undefined) return known;
    const { keys } = await this.parts.keyring.root(keyEpoch);
    const author = this.parts.keyring.roots
      .map((root) => kmsEventKey(root.keys))
      .find(({ publicKey }) => keyIdOf(publicKey) === authorKeyId);
    if (author === undefined) throw new TypeError(`no root of this KMS has the event key ${authorKeyId}`);
    const statement = {
      rootCaSpki: Buffer.from(keys.caSpki).toString('hex'),
      eventKey: Buffer.from(author.rawPublicKey).toString('hex'),
      endorsement: Buffer.from(endorseEventKey(keys, author.rawPublicKey)).toString('base64'),
    };
    this.#statements.set(name, statement);
    return statement;
  }
}

/**
 * Why the keys of a grant must not leave: an epoch they are of is revoked, or was tainted before the grant was appended (a
 * replica decided in the same moment). Undefined when they may. The log alone says so, hence every replica the same.
 */
function withholding(grant: StoredGrant, epochs: KeyEpochs): string | undefined {
  if (grant.envelope.type === 'grant.denied') return undefined;
  const { keyEpoch, earlierKeyEpochs = [] } = grant.envelope.data;
  const gone = [keyEpoch, ...earlierKeyEpochs].find((epoch) => keyEpochEntry(epochs, epoch)?.status === 'revoked');
  if (gone !== undefined) return `key epoch ${gone} is revoked`;
  const { endedSeq } = keyEpochEntry(epochs, keyEpoch) ?? { endedSeq: 0 };
  return endedSeq !== null && grant.seq > endedSeq ? `key epoch ${keyEpoch} was over before the grant` : undefined;
}
