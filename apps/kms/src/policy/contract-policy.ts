import {
  type BlockChoice,
  type BootInfo,
  type BootKind,
  jsonRpcProvider,
  PolicyUnavailableError,
  readBootPolicy,
} from '@vouch/contracts';
import type { PolicyAnchor, PolicyDecision, PolicySource } from './policy-source.js';

/** No app has this id: asking about it shows that the contract answers. */
const NOBODY: BootInfo = {
  teeVariant: 'dstack-tdx',
  appId: '00'.repeat(20),
  composeHash: '00'.repeat(32),
  instanceId: '',
  deviceId: '00'.repeat(32),
  mrAggregated: '00'.repeat(32),
  mrSystem: '00'.repeat(32),
  osImageHash: '00'.repeat(32),
  keyProviderInfo: '',
  tcbStatus: 'UpToDate',
  advisoryIds: [],
};

export interface ContractPolicyOptions {
  readonly rpcUrl: string;
  /** Address of DstackKms, 40 hex digits. */
  readonly contract: string;
  readonly block: BlockChoice;
  /** The chain it must be; absent: the one that answers first. */
  readonly chainId?: number;
}

/** Policy in DstackKms: one contract on one chain, each decision read at one block. */
export class ContractPolicy implements PolicySource {
  readonly kind = 'contract';
  readonly #provider;
  #chainId: number | undefined;

  constructor(private readonly options: ContractPolicyOptions) {
    this.#provider = jsonRpcProvider(options.rpcUrl);
    this.#chainId = options.chainId;
  }

  get description(): string {
    return `DstackKms 0x${this.options.contract}`;
  }

  async read(kind: BootKind, info: BootInfo): Promise<PolicyDecision> {
    const { contract, block: blockTag } = this.options;
    const policy = await readBootPolicy(this.#provider, contract, info, { kind, blockTag });
    const { isAllowed, reason, gatewayAppId, chainId, block } = policy;
    this.#chainId ??= chainId;
    if (chainId !== this.#chainId) {
      throw new PolicyUnavailableError(`the node is on chain ${chainId}, not on chain ${this.#chainId}`);
    }
    const origin = { source: 'contract', chainId, contract, block: block.number, blockHash: block.hash } as const;
    return { isAllowed, reason, gatewayAppId, origin, asOf: block.time };
  }

  async reachable(): Promise<PolicyAnchor> {
    const { origin } = await this.read('app', NOBODY);
    return { contract: this.options.contract, chainId: origin.source === 'contract' ? origin.chainId : null };
  }

  close(): void {
    this.#provider.destroy();
  }
}
