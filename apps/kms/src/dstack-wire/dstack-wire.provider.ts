import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NatsConnection } from '@nats-io/transport-node';
import type { FactoryProvider } from '@nestjs/common';
import { InvalidImageUrlError, OsImageDownloader } from '@vouch/attestation';
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
} from '@vouch/platform';
import { HostRateLimit } from '../challenge/host-rate-limit.js';
import { CollateralRecorder } from '../collateral/collateral-recorder.js';
import { type KmsConfig, standingWeakenings } from '../config/kms-config.js';
import { EvidenceAppraiser } from '../evidence/evidence-appraiser.js';
import { AuditorReceipts } from '../grant/receipt-source.js';
import { policyMaxAgeSeconds } from '../policy/policy-settings.js';
import type { PolicySource } from '../policy/policy-source.js';
import { KeyEpochLog } from '../root/key-epoch-log.js';
import type { Keyring } from '../root/keyring.js';
import { KMS_CONFIG, KMS_KEYRING, POLICY_SOURCE } from '../tokens.js';
import { adminTokenHash, DstackWire } from './dstack-wire.js';
import { SocketAgent } from './guest/own-agent.js';
import type { WireParts } from './methods/wire-parts.js';
import { judgeKeyEpoch } from './release/judge-key-epoch.js';
import { ReleaseLog } from './release/release-log.js';
import { tempCaOf } from './tls/rpc-identity.js';
import { readWireSettings, type WireSettings, wireWeakenings } from './wire-settings.js';

/** Answered as X-App-Version. */
const VERSION = '0.1.0';
/** A guest makes a handful of calls per boot; this is room for a host that boots many behind one address. */
const ADDRESS_LIMIT = { burst: 200, perSecond: 20 } as const;

const INJECTED = [
  ...[KMS_CONFIG, KMS_KEYRING, POLICY_SOURCE, EVENT_STORE, CLOCK, NATS, KEY_DIRECTORY],
  ...[EventWriter, EvidenceAppraiser, CollateralRecorder, KeyEpochLog, PinoLogger],
];

/** The wire, assembled from the KMS's own parts. */
export const dstackWireProvider: FactoryProvider<DstackWire> = {
  provide: DstackWire,
  inject: INJECTED,
  useFactory: (
    config: KmsConfig,
    keyring: Keyring,
    policy: PolicySource,
    store: EventStore,
    clock: Clock,
    connection: NatsConnection,
    directory: KeyDirectory,
    writer: EventWriter,
    appraiser: EvidenceAppraiser,
    collateral: CollateralRecorder,
    epochs: KeyEpochLog,
    logger: PinoLogger,
  ) => {
    logger.setContext('dstack-wire');
    const root = keyring.first;
    const settings = readWireSettings();
    const receipts = new AuditorReceipts(connection, directory.trust);
    const { KMS_ID: kmsId } = config;
    const releases = new ReleaseLog({ kmsId, keyEpoch: root.keyEpoch, store, writer, receipts, collateral, logger });
    const now = () => clock.now();
    const unsafe = [...standingWeakenings(config), ...wireWeakenings(settings)];
    const ports = {
      ...{ policy, now, unsafe, policyMaxAgeSeconds: policyMaxAgeSeconds(config) },
      keyEpoch: () => judgeKeyEpoch(epochs),
      imageRules: { processGuests: appraiser.processGuests, images: imageSource(settings, config) },
    };
    const parts: WireParts = {
      ...{ root, appraiser, releases, ports, store, tempCa: tempCaOf(root, now()) },
      ...settingParts(settings, config),
    };
    const monotonicMs = () => clock.monotonicMs();
    const limit = new HostRateLimit({ ...ADDRESS_LIMIT, monotonicMs });
    return new DstackWire({ settings, parts, limit, monotonicMs, version: VERSION, logger });
  },
};

function settingParts(settings: WireSettings, config: KmsConfig) {
  const { KMS_GUEST_AGENT_SOCKET: socket, KMS_ADMIN_TOKEN_FILE: tokenFile } = settings;
  return {
    agent: socket === undefined ? undefined : new SocketAgent(socket),
    adminTokenHash: tokenFile === undefined ? undefined : readAdminToken(tokenFile),
    isRootKeyReleaseAllowed: settings.VOUCH_UNSAFE_ROOT_KEY_RELEASE === 'true',
    isDevelopment: config.VOUCH_MODE === 'development',
    imageCacheFolder: imageCacheFolder(config),
    // The origin alone: whole RPC URLs often carry an access key, and the answer is for everyone.
    ethRpcUrl: config.ETH_RPC_URL === undefined ? '' : new URL(config.ETH_RPC_URL).origin,
    contract: config.KMS_CONTRACT_ADDR ?? null,
  };
}

function imageSource({ KMS_IMAGE_URL: urlTemplate }: WireSettings, config: KmsConfig): OsImageDownloader | undefined {
  if (urlTemplate === undefined) return undefined;
  try {
    return new OsImageDownloader({ urlTemplate, cacheFolder: join(imageCacheFolder(config), 'images') });
  } catch (error) {
    if (error instanceof InvalidImageUrlError) throw new ConfigError([`KMS_IMAGE_URL: ${error.message}`]);
    throw error;
  }
}

function imageCacheFolder(config: KmsConfig): string {
  return join(config.KMS_DATA_DIR, 'image-cache');
}

function readAdminToken(path: string): Uint8Array {
  try {
    return adminTokenHash(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new ConfigError([`KMS_ADMIN_TOKEN_FILE: ${path}: ${(error as Error).message}`]);
  }
}
