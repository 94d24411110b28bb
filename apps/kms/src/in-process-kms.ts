import { type QuoteCollateralV3, trustAnchorFromPem } from '@vouch/attestation';
import { type AuthoredEvent, authorEvent, type EventAuthor, type EventData } from '@vouch/domain';
import { mintRootCa, type RootKeys } from '@vouch/keys';
import { deterministicEventId } from '@vouch/platform';
import { EvidenceAppraiser } from './evidence/evidence-appraiser.js';
import { decideRequest } from './grant/decide-request.js';
import type { DecisionPorts } from './grant/decision-ports.js';
import { grantEventOf } from './grant/grant-event.js';
import { PayloadSealer } from './grant/payload-sealer.js';
import { eventAuthor } from './root/event-author.js';
import { initialKeyEpochs } from './root/key-epochs.js';
import { Keyring } from './root/keyring.js';

/** The world of an {@link InProcessKms}: one guest, placed and allowed, and the collateral of its platform. */
export interface InProcessWorld {
  readonly root: RootKeys;
  readonly collateral: QuoteCollateralV3;
  /** PEM of the simulator's root. */
  readonly unsafeTrustAnchor: string;
  readonly guest: {
    readonly appId: string;
    readonly instanceId: string;
    readonly composeHash: string;
    readonly hostId: string;
    readonly epoch: number;
  };
  readonly now: () => Date;
}

/**
 * The KMS's way from evidence to a signed grant event and its sealed payload, with the code of the service and nothing of the
 * world around it: no bus, log, policy chain or auditor. It decides about one guest whose challenge, placement and policy
 * are always good. For measuring; it releases nothing and cannot be a KMS.
 */
export class InProcessKms {
  /** Signs the grant events. */
  readonly author: EventAuthor;
  readonly #keyring: Keyring;
  readonly #ports: DecisionPorts;
  #sealer: PayloadSealer;

  constructor(world: InProcessWorld) {
    const { root, now } = world;
    const rootCaCert = mintRootCa(root, now()).pem;
    this.#keyring = new Keyring(
      [{ keys: root, keyEpoch: 0, domain: 'kms.example', rootCaCert }],
      async () => undefined,
    );
    this.author = eventAuthor(this.#keyring, { KMS_EVENT_KEY_EPOCH: 0 });
    this.#sealer = new PayloadSealer(this.#keyring);
    this.#ports = portsOf(world);
  }

  /** Forgets what is remembered of apps, as if the next grant were the first of its app. */
  forgetApps(): void {
    this.#sealer = new PayloadSealer(this.#keyring);
  }

  /** Answers the signed event. Throws when the request would be denied. */
  async grant(requestId: string, data: EventData<'attestation.submitted'>): Promise<AuthoredEvent> {
    const request = { requestId, requestSeq: 1, data };
    const verdict = await decideRequest(request, this.#ports, { policyMaxAgeSeconds: 300, unsafe: [] });
    const { type, data: body } = await grantEventOf(request, verdict, this.#sealer);
    if (type === 'grant.denied') throw new Error(`denied at ${body.failedCheck}: ${body.reason}`);
    const id = deterministicEventId('grant', requestId);
    const said = { actor: `host-worker/${data.hostId}`, cause: requestId, corr: '' };
    return authorEvent(this.author, { id, type, data: body, time: this.#ports.now(), ...said });
  }
}

function portsOf({ collateral, unsafeTrustAnchor, guest, now }: InProcessWorld): DecisionPorts {
  const appraiser = new EvidenceAppraiser({
    collateral: { collateralFor: async () => collateral, forget: () => undefined },
    trustAnchors: [trustAnchorFromPem(unsafeTrustAnchor)],
    policy: { unsafeTrustAnchorAccepted: true },
    processGuests: 'unsafeAccepted',
    now,
  });
  const { appId, instanceId, composeHash, hostId, epoch } = guest;
  const releaseId = '00'.repeat(16);
  const ids = { appId, releaseId, composeHash };
  return {
    appraise: (evidence) => appraiser.appraise(evidence),
    useChallenge: async () => ({ ok: true }),
    placement: async () => ({
      instance: {
        ...ids,
        ...{ status: 'created', instanceId, seed: '00'.repeat(20), desired: 'running' },
        placement: { hostId, epoch, address: '127.16.0.1' },
      },
      release: {
        ...ids,
        ...{ status: 'created', appCompose: '{}', name: 'bench', encryptedEnv: '', ports: [8080] },
        resources: { vcpu: 1, memoryMiB: 128, diskGiB: 1 },
      },
    }),
    policy: async () => ({
      ...{ isAllowed: true, reason: '', gatewayAppId: '', asOf: now() },
      origin: { source: 'file', digest: '00'.repeat(32) },
    }),
    keyEpochs: async () => initialKeyEpochs,
    now,
  };
}
