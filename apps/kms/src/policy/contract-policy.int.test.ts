import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { approveOsImage, deployApp, deployKms, jsonRpcProvider, privateKeySigner } from '@vouch/contracts';
import { type LocalServer, startAnvil } from '@vouch/platform/local-servers';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { BOOT_INFO } from '../testing/boot-info.js';
import { COMPOSE_HASH, OS_IMAGE } from '../testing/guest.js';
import { startStubServer } from '../testing/stub-server.js';
import { ContractPolicy, type ContractPolicyOptions } from './contract-policy.js';

/** First key of anvil's public development mnemonic: worth nothing outside a local node. */
const DEVELOPMENT_KEY = '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80';
let folder = '';
let chain: LocalServer;
let contract = '';
let appId = '';
const open: ContractPolicy[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vouch-cp-'));
  chain = await startAnvil({ dataDir: folder });
  const provider = jsonRpcProvider(chain.url);
  const owner = privateKeySigner(provider, DEVELOPMENT_KEY);
  contract = (await deployKms(owner)).kms;
  await approveOsImage(owner, contract, OS_IMAGE);
  appId = await deployApp(owner, contract, { composeHash: COMPOSE_HASH, allowAnyDevice: true });
  provider.destroy();
});
afterAll(async () => {
  await chain.kill9();
  await rm(folder, { recursive: true, force: true });
});
afterEach(() => {
  for (const policy of open.splice(0)) policy.close();
});

function policy(change: Partial<ContractPolicyOptions> = {}): ContractPolicy {
  const made = new ContractPolicy({ rpcUrl: chain.url, contract, block: 'latest', ...change });
  open.push(made);
  return made;
}
const info = () => ({ ...BOOT_INFO, appId });
const unavailable = (reason: RegExp) => ({
  code: 'policy-unavailable',
  retryable: true,
  message: expect.stringMatching(reason),
});

describe('policy in a contract', () => {
  it('decides at one block, and names it', async () => {
    const decision = await policy({ chainId: 31337 }).read('app', info());
    expect(decision).toMatchObject({ isAllowed: true, origin: { source: 'contract', chainId: 31337, contract } });
    expect(await policy().read('kms', info())).toMatchObject({ isAllowed: false, reason: 'Aggregated MR not allowed' });
    expect(await policy().reachable()).toEqual({ contract, chainId: 31337 });
  });

  it('gives no decision on another chain than the one that is meant', async () => {
    await expect(policy({ chainId: 1 }).read('app', info())).rejects.toMatchObject(
      unavailable(/on chain 31337, not on chain 1/),
    );
  });

  it('gives no decision when there is no contract', async () => {
    await expect(policy({ contract: '44'.repeat(20) }).read('app', info())).rejects.toMatchObject(
      unavailable(/no DstackKms answers at 0x4444/),
    );
  });

  it('does not see at a finalised block what is not final yet', async () => {
    await expect(policy({ block: 'finalized' }).read('app', info())).rejects.toMatchObject(
      unavailable(/no DstackKms answers/),
    );
    await expect(policy({ block: { confirmations: 100_000 } }).read('app', info())).rejects.toMatchObject(
      unavailable(/no block has 100000 confirmations/),
    );
    const provider = jsonRpcProvider(chain.url);
    await provider.send('anvil_mine', ['0x80']);
    provider.destroy();
    expect(await policy({ block: 'finalized' }).read('app', info())).toMatchObject({ isAllowed: true });
    expect(await policy({ block: { confirmations: 3 } }).read('app', info())).toMatchObject({ isAllowed: true });
  });

  it('gives no decision when the node is away, talks nonsense, or changes its chain', async () => {
    await expect(policy({ rpcUrl: 'http://127.0.0.1:9' }).read('app', info())).rejects.toMatchObject(
      unavailable(/eth_chainId failed/),
    );
    const nonsense = await startStubServer((_request, response) => void response.end('<html>'));
    await expect(policy({ rpcUrl: nonsense.url }).read('app', info())).rejects.toMatchObject(unavailable(/failed/));
    await nonsense.stop();
    const own = await startAnvil({ dataDir: join(folder, 'other') });
    const provider = jsonRpcProvider(own.url);
    const { kms } = await deployKms(privateKeySigner(provider, DEVELOPMENT_KEY));
    const held = policy({ rpcUrl: own.url, contract: kms });
    await held.reachable();
    await provider.send('anvil_setChainId', [5]);
    await expect(held.read('app', info())).rejects.toMatchObject(unavailable(/on chain 5, not on chain 31337/));
    provider.destroy();
    await own.kill9();
  });
});
