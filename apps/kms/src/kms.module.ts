import { readFileSync } from 'node:fs';
import type { NatsConnection } from '@nats-io/transport-node';
import { Module, type Provider } from '@nestjs/common';
import { CollateralClient, INTEL_SGX_ROOT, type TrustAnchor, trustAnchorFromPem } from '@vouch/attestation';
import { type EventAuthor, type KeyDirectory, keyIdOf } from '@vouch/domain';
import type { EventStore } from '@vouch/eventstore';
import { kmsEventKey } from '@vouch/keys';
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
import { PolicyChain } from './chain/policy-chain.js';
import { ChallengeBook } from './challenge/challenge-book.js';
import { ChallengeIssuer } from './challenge/challenge-issuer.js';
import { HostRateLimit } from './challenge/host-rate-limit.js';
import { KvChallengeTable } from './challenge/kv-challenge-table.js';
import { CollateralRecorder } from './collateral/collateral-recorder.js';
import { type KmsConfig, standingWeakenings } from './config/kms-config.js';
import { EvidenceAppraiser } from './evidence/evidence-appraiser.js';
import { RequestAnswerer } from './grant/answer-request.js';
import { GrantLog } from './grant/grant-log.js';
import { PayloadSealer } from './grant/payload-sealer.js';
import { AuditorReceipts } from './grant/receipt-source.js';
import { JetStreamSealedPublisher } from './grant/sealed-publisher.js';
import { KmsController } from './kms.controller.js';
import { readPlacement } from './placement/placement-view.js';
import { Readiness } from './readiness.js';
import { RootModule } from './root/root.module.js';
import type { KmsRoot } from './root/root-files.js';
import { KMS_CONFIG, KMS_ROOT } from './tokens.js';

/** A guest needs one challenge per boot and a few certificates: this is room for a host that boots many at once. */
const HOST_LIMIT = { burst: 100, perSecond: 20 } as const;

const providers: Provider[] = [
  Readiness,
  {
    provide: PolicyChain,
    useFactory: (config: KmsConfig) => new PolicyChain(config.ETH_RPC_URL, config.KMS_CONTRACT_ADDR),
    inject: [KMS_CONFIG],
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
    useFactory: (root: KmsRoot, store: EventStore, writer: EventWriter, grants: GrantLog, clock: Clock) =>
      new CertificateIssuer({ root, store, writer, grants, limit: limitOf(clock), now: () => clock.now() }),
    inject: [KMS_ROOT, EVENT_STORE, EventWriter, GrantLog, CLOCK],
  },
  { provide: EvidenceAppraiser, useFactory: evidenceAppraiser, inject: [KMS_CONFIG, CLOCK] },
  {
    provide: RequestAnswerer,
    useFactory: requestAnswerer,
    inject: [
      ...[KMS_CONFIG, KMS_ROOT, NATS, EVENT_STORE, KEY_DIRECTORY, CLOCK],
      ...[EventWriter, GrantLog, ChallengeBook, EvidenceAppraiser, PolicyChain, PinoLogger],
    ],
  },
];

/** The key server: platform, root keys, and the two things it does for hosts' guests: grants and certificates. */
@Module({
  imports: [
    RootModule,
    PlatformModule.forService({
      service: 'kms',
      author: { imports: [RootModule], inject: [KMS_ROOT], useFactory: eventAuthor },
    }),
  ],
  controllers: [KmsController],
  providers,
})
export class KmsModule {}

/** Every replica of one root writes as one author. */
function eventAuthor(root: KmsRoot): EventAuthor {
  const { privateKey, publicKey } = kmsEventKey(root.keys);
  return { service: 'kms', node: '', keyid: keyIdOf(publicKey), privateKey };
}

function limitOf(clock: Clock): HostRateLimit {
  return new HostRateLimit({ ...HOST_LIMIT, monotonicMs: () => clock.monotonicMs() });
}

function evidenceAppraiser(config: KmsConfig, clock: Clock): EvidenceAppraiser {
  const path = config.VOUCH_UNSAFE_TRUST_ANCHOR_FILE;
  const now = () => clock.now();
  const collateral = new CollateralClient({ baseUrl: config.VOUCH_PCCS_URL, now });
  if (path === undefined) {
    return new EvidenceAppraiser({
      collateral,
      trustAnchors: [INTEL_SGX_ROOT],
      policy: {},
      processGuests: 'refused',
      now,
    });
  }
  return new EvidenceAppraiser({
    collateral,
    trustAnchors: [INTEL_SGX_ROOT, readAnchor(path)],
    policy: { unsafeTrustAnchorAccepted: true },
    processGuests: 'unsafeAccepted',
    now,
  });
}

function readAnchor(path: string): TrustAnchor {
  try {
    return trustAnchorFromPem(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new ConfigError([`VOUCH_UNSAFE_TRUST_ANCHOR_FILE: ${path}: ${(error as Error).message}`]);
  }
}

function requestAnswerer(
  config: KmsConfig,
  root: KmsRoot,
  connection: NatsConnection,
  store: EventStore,
  directory: KeyDirectory,
  clock: Clock,
  writer: EventWriter,
  grants: GrantLog,
  challenges: ChallengeBook,
  appraiser: EvidenceAppraiser,
  chain: PolicyChain,
  logger: PinoLogger,
): RequestAnswerer {
  logger.setContext('grants');
  return new RequestAnswerer({
    root,
    grants,
    logger,
    ports: {
      appraise: (evidence) => appraiser.appraise(evidence),
      useChallenge: (challenge, place, requestId) => challenges.use(challenge, place, requestId),
      placement: (instanceId) => readPlacement(store, instanceId),
      policy: (bootInfo) => chain.read(bootInfo),
      now: () => clock.now(),
    },
    settings: {
      contract: config.KMS_CONTRACT_ADDR,
      policyMaxAgeSeconds: config.POLICY_MAX_AGE_SECONDS,
      unsafe: standingWeakenings(config),
    },
    collateral: new CollateralRecorder(config.KMS_ID, store, writer),
    sealer: new PayloadSealer(root),
    receipts: new AuditorReceipts(connection, directory.trust),
    publisher: new JetStreamSealedPublisher(connection),
  });
}
