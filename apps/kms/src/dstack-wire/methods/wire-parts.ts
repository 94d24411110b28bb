import type { EventStore } from '@vouch/eventstore';
import type { EvidenceAppraiser } from '../../evidence/evidence-appraiser.js';
import type { KmsRoot } from '../../root/root-files.js';
import type { OwnAgent } from '../guest/own-agent.js';
import type { ReleasePorts } from '../release/decide-release.js';
import type { ReleaseLog } from '../release/release-log.js';
import type { TempCa } from '../tls/rpc-identity.js';

/** What the methods of the wire work with. */
export interface WireParts {
  readonly root: KmsRoot;
  readonly tempCa: TempCa;
  readonly appraiser: EvidenceAppraiser;
  readonly releases: ReleaseLog;
  readonly ports: ReleasePorts;
  readonly store: EventStore;
  /** Undefined: this KMS has nobody to attest it. */
  readonly agent: OwnAgent | undefined;
  /** GetKmsKey answers at all. */
  readonly isRootKeyReleaseAllowed: boolean;
  readonly isDevelopment: boolean;
  /** SHA-256 of the administrator's token; undefined: nobody is one. */
  readonly adminTokenHash: Uint8Array | undefined;
  /** Folder whose `images` and `measurements` ClearImageCache empties. */
  readonly imageCacheFolder: string;
  /** What GetAttestationInfo says of the policy: empty and null when it is no contract. */
  readonly ethRpcUrl: string;
  readonly contract: string | null;
}
