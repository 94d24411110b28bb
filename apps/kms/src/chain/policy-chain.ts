import {
  type BootInfo,
  type BootPolicy,
  jsonRpcProvider,
  PolicyUnavailableError,
  readBootPolicy,
} from '@vouch/contracts';

/** No app has this id: asking about it shows that the contract answers. */
const NOBODY: BootInfo = {
  appId: '00'.repeat(20),
  composeHash: '00'.repeat(32),
  instanceId: '',
  deviceId: '00'.repeat(32),
  mrAggregated: '00'.repeat(32),
  mrSystem: '00'.repeat(32),
  osImageHash: '00'.repeat(32),
  tcbStatus: 'UpToDate',
  advisoryIds: [],
};

/** Where boot policy is read: one contract on one chain, for the life of the service. */
export class PolicyChain {
  readonly #provider;
  #chainId: number | undefined;

  constructor(
    rpcUrl: string,
    /** Address of DstackKms, 40 hex digits. */
    readonly contract: string,
  ) {
    this.#provider = jsonRpcProvider(rpcUrl);
  }

  /** Throws PolicyUnavailableError when chain or contract do not answer, or the chain is suddenly another one. */
  async read(bootInfo: BootInfo): Promise<BootPolicy> {
    const policy = await readBootPolicy(this.#provider, this.contract, bootInfo);
    this.#chainId ??= policy.chainId;
    if (policy.chainId !== this.#chainId) {
      throw new PolicyUnavailableError(`the chain id changed from ${this.#chainId} to ${policy.chainId}`);
    }
    return policy;
  }

  /** Chain id, once the contract has answered. Throws PolicyUnavailableError. */
  async reachable(): Promise<number> {
    return (await this.read(NOBODY)).chainId;
  }

  close(): void {
    this.#provider.destroy();
  }
}
