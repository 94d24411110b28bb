import { createHash } from 'node:crypto';
import type { FieldLogger } from '@vouch/platform';
import { ConfigError } from '@vouch/platform';
import type { HostRateLimit } from '../challenge/host-rate-limit.js';
import { kmsService } from './methods/kms-service.js';
import type { WireParts } from './methods/wire-parts.js';
import { Callers } from './tls/caller-of.js';
import { serverIdentity } from './tls/rpc-identity.js';
import { WireServer } from './tls/wire-server.js';
import type { WireSettings } from './wire-settings.js';

export interface DstackWireOptions {
  readonly settings: WireSettings;
  readonly parts: WireParts;
  readonly limit: HostRateLimit;
  readonly monotonicMs: () => number;
  readonly version: string;
  readonly logger: FieldLogger;
}

/** The KMS as dstack's guests, gateways and tools know one. Off unless KMS_RPC_LISTEN says where. */
export class DstackWire {
  #server: WireServer | undefined;

  constructor(private readonly options: DstackWireOptions) {}

  /** Throws ConfigError when it cannot listen there, PrpcError when the KMS should attest itself and cannot. */
  async start(): Promise<void> {
    const { settings, parts, limit, monotonicMs, version, logger } = this.options;
    const address = settings.KMS_RPC_LISTEN;
    if (address === undefined) return;
    const { appraiser, releases, ports, root, tempCa, agent } = parts;
    const server = new WireServer({
      ...{ service: kmsService(parts), tempCa, version, logger },
      callers: new Callers({ appraiser, releases, limit, unsafe: ports.unsafe, monotonicMs }),
      identity: () => serverIdentity(root, agent, ports.now()),
    });
    const port = await server.listen(address).catch((error: NodeJS.ErrnoException) => {
      if (error.syscall !== 'listen') throw error;
      throw new ConfigError([`KMS_RPC_LISTEN: cannot listen there (${error.code})`]);
    });
    this.#server = server;
    logger.info({ port, domain: root.domain, isAttested: agent !== undefined }, 'the dstack wire listens');
  }

  async stop(): Promise<void> {
    await this.#server?.close();
  }
}

/** SHA-256 of a token file's text without line ends. Throws TypeError for one that is too short. */
export function adminTokenHash(text: string): Uint8Array {
  const token = text.replace(/[\r\n]+$/, '');
  if (token.length < 16) throw new TypeError('an administrator token has at least 16 characters');
  return new Uint8Array(createHash('sha256').update(token).digest());
}
