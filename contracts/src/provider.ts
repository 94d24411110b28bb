import { JsonRpcProvider, NonceManager, Wallet } from 'ethers';

/**
 * JSON-RPC over HTTP, one request per call: ethers' default waits 10 ms to collect a batch, which costs five sixths of the
 * throughput against a local node. Each attempt ends after `timeoutMs`.
 */
export function jsonRpcProvider(url: string, timeoutMs = 10_000): JsonRpcProvider {
  const provider = new JsonRpcProvider(url, undefined, { batchMaxCount: 1, cacheTimeout: -1, staticNetwork: true });
  const connection = provider._getConnection();
  connection.timeout = timeoutMs;
  return provider;
}

/** A signer for `privateKey` (0x hex, 32 bytes) that numbers its own transactions, so that they can overlap. */
export function privateKeySigner(provider: JsonRpcProvider, privateKey: string): NonceManager {
  return new NonceManager(new Wallet(privateKey, provider));
}
