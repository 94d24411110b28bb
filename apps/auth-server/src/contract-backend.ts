import {
  type BootInfo,
  type BootKind,
  jsonRpcProvider,
  type PolicyBlock,
  PolicyUnavailableError,
  readBootPolicy,
  readKmsOverview,
} from '@vouch/contracts';
import type { AuthBackend, AuthDecision, AuthServerInfo } from './auth-backend.js';
import type { BackendSettings } from './settings.js';

/** Key servers of dstack wait without a limit of their own, so each request of the node has a short one. */
const RPC_TIMEOUT_MS = 5_000;

/** Policy in DstackKms. Everything an answer says was read at one block, which the epoch names. */
export class ContractBackend implements AuthBackend {
  readonly #provider;
  #chainId: number | undefined;

  constructor(
    private readonly settings: Extract<BackendSettings, { kind: 'contract' }>,
    private readonly now: () => Date,
  ) {
    this.#provider = jsonRpcProvider(settings.rpcUrl, RPC_TIMEOUT_MS);
    this.#chainId = settings.chainId;
  }

  async decide(kind: BootKind, info: BootInfo): Promise<AuthDecision> {
    const { contract } = this.settings;
    const policy = await readBootPolicy(this.#provider, contract, info, { kind, ...this.#options() });
    const { isAllowed, reason, gatewayAppId, chainId, block } = policy;
    this.#chainId ??= chainId;
    this.#assertFresh(block);
    const epoch = `chain ${chainId} contract 0x${contract} block ${block.number} 0x${block.hash}`;
    return { isAllowed, reason, gatewayAppId, epoch };
  }

  async describe(): Promise<AuthServerInfo> {
    const { contract, rpcUrl } = this.settings;
    const overview = await readKmsOverview(this.#provider, contract, this.#options());
    this.#chainId ??= overview.chainId;
    const implementation = `0x${overview.appImplementation ?? '00'.repeat(20)}`;
    const { protocol, host } = new URL(rpcUrl);
    return {
      status: 'ok',
      kmsContractAddr: `0x${contract}`,
      ethRpcUrl: `${protocol}//${host}`,
      gatewayAppId: overview.gatewayAppId,
      chainId: overview.chainId,
      appAuthImplementation: implementation,
      appImplementation: implementation,
    };
  }

  close(): void {
    this.#provider.destroy();
  }

  #options() {
    return {
      blockTag: this.settings.block,
      ...(this.#chainId === undefined ? {} : { chainId: this.#chainId }),
    };
  }

  #assertFresh({ number, time }: PolicyBlock): void {
    const { maxAgeSeconds } = this.settings;
    if (maxAgeSeconds === undefined || this.now().getTime() - time.getTime() <= maxAgeSeconds * 1000) return;
    throw new PolicyUnavailableError(`block ${number} of ${time.toISOString()} is older than ${maxAgeSeconds} s`);
  }
}
