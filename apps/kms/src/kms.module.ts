import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NatsConnection } from '@nats-io/transport-node';
import { Module, type Provider } from '@nestjs/common';
import {
  CollateralClient,
  INTEL_SGX_ROOT,
  InvalidEndpointError,
  type TrustAnchor,
  trustAnchorFromPem,
} from '@vouch/attestation';
import type { KeyDirectory } from '@vouch/domain';
import type { EventStore } from '@vouch/eventstore';
import {
  CLOCK,
  type Clock,
  ConfigError,
  EVENT_STORE,
  EventWriter,
  KEY_DIRECTORY,
  NATS,
  PinoLogger,
  PlatformModule,
} from '@vouch/platform';
import { CertificateIssuer } from './certificate/certificate-issuer.js';
import { PolicyFollower } from './chain/policy-follower.js';
import { ChallengeBook } from './challenge/challenge-book.js';
import { ChallengeIssuer } from './challenge/challenge-issuer.js';
import { HostRateLimit } from './challenge/host-rate-limit.js';
import { KvChallengeTable } from './challenge/kv-challenge-table.js';
import { CollateralRecorder } from './collateral/collateral-recorder.js';
import { type KmsConfig, standingWeakenings } from './config/kms-config.js';
import { DecisionSources } from './decision-sources.js';
import { dstackWireProvider } from './dstack-wire/index.js';
import { EvidenceAppraiser } from './evidence/evidence-appraiser.js';
import { RequestAnswerer } from './grant/answer-request.js';
import { GrantDecider } from './grant/grant-decider.js';
import { GrantDelivery } from './grant/grant-delivery.js';
import { GrantLog } from './grant/grant-log.js';
import { PayloadSealer } from './grant/payload-sealer.js';
import { AuditorReceipts } from './grant/receipt-source.js';
import { JetStreamSealedPublisher } from './grant/sealed-publisher.js';
import { KmsController } from './kms.controller.js';
import { policyMaxAgeSeconds, policySource } from './policy/policy-settings.js';
import { Readiness } from './readiness.js';
import { eventAuthor } from './root/event-author.js';
import { KeyEpochLog } from './root/key-epoch-log.js';
import type { Keyring } from './root/keyring.js';
import { RootModule } from './root/root.module.js';
import { KMS_CONFIG, KMS_KEYRING, POLICY_SOURCE } from './tokens.js';

/** A guest needs one challenge per boot and a few certificates: this is room for a host that boots many at once. */
const HOST_LIMIT = { burst: 100, perSecond: 20 } as const;

const providers: Provider[] = [
  Readiness,
  PolicyFollower,
  {
    provide: POLICY_SOURCE,
    useFactory: (config: KmsConfig, clock: Clock) => policySource(config, () => clock.now()),
    inject: [KMS_CONFIG, CLOCK],
  },
  {
    provide: ChallengeBook,
    useFactory: (connection: NatsConnection, clock: Clock) =>
      new ChallengeBook(new KvChallengeTable(connection), () => clock.now()),
    inject: [NATS, CLOCK],
  },
  {
    provide: ChallengeIssuer,
    useFactory: (book: ChallengeBook, store: EventStore, clock: Clock) =>
      new ChallengeIssuer(book, store, limitOf(clock)),
    inject: [ChallengeBook, EVENT_STORE, CLOCK],
  },
  {
    provide: GrantLog,
    useFactory: (store: EventStore, writer: EventWriter) => new GrantLog(store, writer),
    inject: [EVENT_STORE, EventWriter],
  },
  {
    provide: CertificateIssuer,
    useFactory: certificateIssuer,
    inject: [KMS_KEYRING, KeyEpochLog, EVENT_STORE, EventWriter, GrantLog, CLOCK],
  },
  { provide: EvidenceAppraiser, useFactory: evidenceAppraiser, inject: [KMS_CONFIG, CLOCK] },
  DecisionSources,
  {
    provide: CollateralRecorder,
    useFactory: (config: KmsConfig, store: EventStore, writer: EventWriter) =>
      new CollateralRecorder(config.KMS_ID, store, writer),
    inject: [KMS_CONFIG, EVENT_STORE, EventWriter],
  },
  {
    provide: KeyEpochLog,
    useFactory: (config: KmsConfig, store: EventStore) => new KeyEpochLog(config.KMS_ID, store),
    inject: [KMS_CONFIG, EVENT_STORE],
  },
  { provide: PayloadSealer, useFactory: (keyring: Keyring) => new PayloadSealer(keyring), inject: [KMS_KEYRING] },
  {
    provide: GrantDecider,
    useFactory: grantDecider,
    inject: [KMS_CONFIG, DecisionSources, GrantLog, CollateralRecorder, PayloadSealer, PinoLogger],
  },
  {
    provide: GrantDelivery,
    useFactory: grantDelivery,
    inject: [KMS_KEYRING, KeyEpochLog, PayloadSealer, NATS, KEY_DIRECTORY, PinoLogger],
  },
  {
    provide: RequestAnswerer,
    useFactory: (decider: GrantDecider, delivery: GrantDelivery) => new RequestAnswerer(decider, delivery),
    inject: [GrantDecider, GrantDelivery],
  },
  dstackWireProvider,
];

/** The key server: platform, root keys, and the two things it does for hosts' guests: grants and certificates. */
@Module({
  imports: [
    RootModule,
    PlatformModule.forService({
      service: 'kms',
      author: { imports: [RootModule], inject: [KMS_KEYRING, KMS_CONFIG], useFactory: eventAuthor },
    }),
  ],
  controllers: [KmsController],
  providers,
})
export class KmsModule {}

function limitOf(clock: Clock): HostRateLimit {
  return new HostRateLimit({ ...HOST_LIMIT, monotonicMs: () => clock.monotonicMs() });
}

function certificateIssuer(
  keyring: Keyring,
  epochs: KeyEpochLog,
  store: EventStore,
  writer: EventWriter,
  grants: GrantLog,
  clock: Clock,
): CertificateIssuer {
  const limit = limitOf(clock);
  return new CertificateIssuer({ keyring, epochs, store, writer, grants, limit, now: () => clock.now() });
}

function evidenceAppraiser(config: KmsConfig, clock: Clock): EvidenceAppraiser {
  const path = config.VOUCH_UNSAFE_TRUST_ANCHOR_FILE;
  const now = () => clock.now();
  const trustAnchors = path === undefined ? [INTEL_SGX_ROOT] : [INTEL_SGX_ROOT, readAnchor(path)];
  const collateral = collateralClient(config, trustAnchors, clock);
  if (path === undefined) {
    return new EvidenceAppraiser({ collateral, trustAnchors, policy: {}, processGuests: 'refused', now });
  }
  return new EvidenceAppraiser({
    collateral,
    trustAnchors,
    policy: { unsafeTrustAnchorAccepted: true },
    processGuests: 'unsafeAccepted',
    now,
  });
}

/** Keeps collateral over restarts and renews it ahead of expiry: an outage of the endpoints does not stop grants. */
function collateralClient(config: KmsConfig, trustAnchors: readonly TrustAnchor[], clock: Clock): CollateralClient {
  // The simulator of a development stack has no TLS; its documents are signed all the same.
  const plain = config.VOUCH_UNSAFE_TRUST_ANCHOR_FILE === undefined ? {} : { unsafePlainHttp: true as const };
  try {
    const client = new CollateralClient({
      endpoints: config.VOUCH_PCCS_URL.map((url) => ({ url, ...plain })),
      trustAnchors,
      cacheFolder: join(config.KMS_DATA_DIR, 'collateral'),
      now: () => clock.now(),
      monotonicMs: () => clock.monotonicMs(),
    });
    client.refreshInBackground();
    return client;
  } catch (error) {
    if (error instanceof InvalidEndpointError) throw new ConfigError([`VOUCH_PCCS_URL: ${error.message}`]);
    throw error;
  }
}

function readAnchor(path: string): TrustAnchor {
  try {
    return trustAnchorFromPem(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new ConfigError([`VOUCH_UNSAFE_TRUST_ANCHOR_FILE: ${path}: ${(error as Error).message}`]);
  }
}

function grantDecider(
  config: KmsConfig,
  ports: DecisionSources,
  grants: GrantLog,
  collateral: CollateralRecorder,
  sealer: PayloadSealer,
  logger: PinoLogger,
): GrantDecider {
  const settings = {
    policyMaxAgeSeconds: policyMaxAgeSeconds(config),
    unsafe: standingWeakenings(config),
  };
  logger.setContext('grants');
  return new GrantDecider({ ports, settings, grants, collateral, sealer, logger });
}

function grantDelivery(
  keyring: Keyring,
  epochs: KeyEpochLog,
  sealer: PayloadSealer,
  connection: NatsConnection,
  directory: KeyDirectory,
  logger: PinoLogger,
): GrantDelivery {
  const receipts = new AuditorReceipts(connection, directory.trust);
  const publisher = new JetStreamSealedPublisher(connection);
  logger.setContext('grants');
  return new GrantDelivery({ keyring, epochs, sealer, receipts, publisher, logger });
}
