import {
  FetchRequest,
  JsonRpcProvider,
  type Network,
  NonceManager,
  type TransactionRequest,
  type TransactionResponse,
  Wallet,
} from 'ethers';

/**
 * JSON-RPC over HTTP, one request per call: ethers' default waits 10 ms to collect a batch, which costs five sixths of the
 * throughput against a local node. Each attempt ends after `timeoutMs`.
 */
export function jsonRpcProvider(url: string, timeoutMs = 10_000): JsonRpcProvider {
  const connection = new FetchRequest(url);
  connection.timeout = timeoutMs;
  return new PromptProvider(connection, undefined, { batchMaxCount: 1, cacheTimeout: -1, staticNetwork: true });
}

/**
 * ethers looks for the network in a background loop that prints to stdout while the node is away. This asks once, when
 * first needed, and reports a failure to whoever asked.
 */
class PromptProvider extends JsonRpcProvider {
  #detected: Network | undefined;

  override _start(): void {}

  override async _detectNetwork(): Promise<Network> {
    this.#detected ??= await super._detectNetwork();
    return this.#detected;
  }
}

/** A signer for `privateKey` (0x hex, 32 bytes) that numbers its own transactions, so that they can overlap. */
export function privateKeySigner(provider: JsonRpcProvider, privateKey: string): NonceManager {
  return new RenumberingSigner(new Wallet(privateKey, provider));
}

/**
 * ethers counts a transaction that was refused before it was sent, and every later one then waits for ever behind the
 * missing number. This asks the node again after a refusal.
 */
class RenumberingSigner extends NonceManager {
  override async sendTransaction(transaction: TransactionRequest): Promise<TransactionResponse> {
    try {
      return await super.sendTransaction(transaction);
    } catch (error) {
      this.reset();
      throw error;
    }
  }
}
