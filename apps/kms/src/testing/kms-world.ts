import { createPublicKey } from 'node:crypto';
import { type EventData, KeyDirectory, type TrustFile } from '@vouch/domain';
import { type EventStore, MemoryEventStore, type StoredEvent } from '@vouch/eventstore';
import { mintRootCa, RootKeys } from '@vouch/keys';
import { EventWriter, Metrics } from '@vouch/platform';
import { makeTestAuthors } from '@vouch/testkit';
import { MemoryTree, type Receipt, receiptOf, signCheckpoint } from '@vouch/transparency';
import { CollateralRecorder } from '../collateral/collateral-recorder.js';
import { RequestAnswerer } from '../grant/answer-request.js';
import type { DecisionPorts } from '../grant/decision-ports.js';
import { GrantDecider } from '../grant/grant-decider.js';
import { GrantDelivery } from '../grant/grant-delivery.js';
import { GrantLog } from '../grant/grant-log.js';
import { PayloadSealer } from '../grant/payload-sealer.js';
import { type ReceiptSource, ReceiptUnavailableError } from '../grant/receipt-source.js';
import type { SealedMessage } from '../grant/sealed-message.js';
import { DeliveryUnavailableError, type SealedPublisher } from '../grant/sealed-publisher.js';
import { eventAuthor } from '../root/event-author.js';
import { KeyEpochLog } from '../root/key-epoch-log.js';
import { Keyring } from '../root/keyring.js';
import { rootStatement } from '../root/public-statement.js';
import type { KmsRoot } from '../root/root-files.js';
import { NOW } from './guest.js';
import { KeptLog } from './kept-log.js';

export function freshRoot(keyEpoch = 0): KmsRoot {
  const keys = RootKeys.generate(keyEpoch);
  return { keys, keyEpoch, domain: 'kms.example', rootCaCert: mintRootCa(keys, NOW).pem };
}

/** A KMS around an in-memory log, with a transparency log and a bus that can be taken away. */
export class KmsWorld implements ReceiptSource, SealedPublisher {
  readonly root = freshRoot();
  /** Roots of later key epochs, as files in the KMS's folder. */
  readonly laterRoots = new Map<number, KmsRoot>();
  readonly keyring = this.keyringOf(this.root);
  readonly authors = makeTestAuthors();
  readonly store = new MemoryEventStore({ directory: this.#directory(), now: () => NOW });
  readonly clock = { now: () => NOW, monotonicMs: () => performance.now() };
  readonly writer = this.writerTo(this.store);
  readonly epochs = new KeyEpochLog('kms-1', this.store);
  readonly grants = new GrantLog(this.store, this.writer);
  readonly log = new KeptLog();
  readonly published: { subject: string; message: SealedMessage }[] = [];
  isAuditorAway = false;
  isBusAway = false;

  /** A replica's keyring around a first root. */
  keyringOf(root: KmsRoot): Keyring {
    return new Keyring([root], async (keyEpoch) => this.laterRoots.get(keyEpoch));
  }

  /** Writes as this KMS to any store, such as one that fails. */
  writerTo(store: EventStore): EventWriter {
    return new EventWriter(store, eventAuthor(this.keyring, { KMS_EVENT_KEY_EPOCH: 0 }), this.clock, new Metrics());
  }

  /** A fresh process over the same log: nothing survives from the one before. */
  kms(ports: DecisionPorts, root: KmsRoot = this.root): RequestAnswerer {
    const { grants, log: logger, store, writer } = this;
    const settings = { policyMaxAgeSeconds: 300, unsafe: [] };
    const keyring = this.keyringOf(root);
    const epochs = new KeyEpochLog('kms-1', store);
    const sealer = new PayloadSealer(keyring);
    const collateral = new CollateralRecorder('kms-1', store, writer);
    const decider = new GrantDecider({ ports, settings, grants, collateral, sealer, logger });
    const delivery = new GrantDelivery({ keyring, epochs, sealer, receipts: this, publisher: this, logger });
    return new RequestAnswerer(decider, delivery);
  }

  /** Puts a submission into the log, as its host does. */
  async submit(data: EventData<'attestation.submitted'>, id?: string): Promise<StoredEvent<'attestation.submitted'>> {
    const author = this.authors.of('host-worker', data.hostId);
    const event = this.authors.event(author, 'attestation.submitted', data, id === undefined ? {} : { id });
    const last = await this.store.lastOf(event.envelope.subject);
    await this.store.append(event, last?.seq ?? 0);
    return (await this.store.lastOf(event.envelope.subject)) as StoredEvent<'attestation.submitted'>;
  }

  async receiptOf(seq: number): Promise<Receipt> {
    if (this.isAuditorAway) throw new ReceiptUnavailableError('the auditor is away');
    const tree = new MemoryTree();
    let event: Uint8Array | undefined;
    for await (const stored of this.store.read({ fromSeq: 1, follow: false })) {
      tree.append(stored.bytes);
      if (stored.seq === seq) event = stored.bytes;
    }
    if (event === undefined) throw new ReceiptUnavailableError(`no event ${seq}`);
    const { origin } = this.authors.trust.log;
    const privateKey = this.authors.logPrivateKey;
    const checkpoint = { origin, size: tree.size, root: tree.root(), time: NOW };
    const note = signCheckpoint(checkpoint, { privateKey, publicKey: createPublicKey(privateKey) });
    return receiptOf(seq, event, tree.inclusionProof(seq - 1), note);
  }

  /** The test authors' trust, with the event key that follows from the root. */
  #directory(): KeyDirectory {
    const { trust } = this.authors;
    const publicKey = rootStatement(this.root).eventKey;
    const others = trust.keys.filter(({ service }) => service !== 'kms');
    const changed: TrustFile = { ...trust, keys: [...others, { service: 'kms', node: '', publicKey }] };
    return new KeyDirectory(changed);
  }

  async publish(place: { hostId: string; instanceId: string }, message: SealedMessage): Promise<void> {
    if (this.isBusAway) throw new DeliveryUnavailableError('the bus is away');
    this.published.push({ subject: `sealed.${place.hostId}.${place.instanceId}`, message });
  }
}
