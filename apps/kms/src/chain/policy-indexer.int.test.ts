import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  appContract,
  approveCompose,
  approveOsImage,
  deployApp,
  deployKms,
  jsonRpcProvider,
  kmsContract,
  privateKeySigner,
  registerApp,
  revokeCompose,
} from '@vouch/contracts';
import { type LocalServer, startAnvil } from '@vouch/platform/local-servers';
import { SeededRandom } from '@vouch/testkit';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { KmsWorld } from '../testing/kms-world.js';
import { startStubServer } from '../testing/stub-server.js';
import { PolicyIndexer, type PolicyIndexerOptions } from './policy-indexer.js';

/** First key of anvil's public development mnemonic: worth nothing outside a local node. */
const DEVELOPMENT_KEY = '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80';
const hash = (byte: string) => byte.repeat(32);

let folder = '';
let chain: LocalServer;
let provider: ReturnType<typeof jsonRpcProvider>;
let owner: ReturnType<typeof privateKeySigner>;
let contract = '';
let startBlock = 0;
let world: KmsWorld;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vouch-pi-'));
  chain = await startAnvil({ dataDir: folder });
});
afterAll(async () => {
  await chain.kill9();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(async () => {
  provider = jsonRpcProvider(chain.url);
  owner = privateKeySigner(provider, DEVELOPMENT_KEY);
  startBlock = await provider.getBlockNumber();
  contract = (await deployKms(owner)).kms;
  world = new KmsWorld();
});
afterEach(() => provider.destroy());

function indexer(change: Partial<PolicyIndexerOptions> = {}): PolicyIndexer {
  const { store, writer } = world;
  return new PolicyIndexer({
    ...{ provider, contract, chainId: 31337, confirmations: 0, startBlock, rangeBlocks: 2000, store, writer },
    ...change,
  });
}

interface Line {
  readonly type: string;
  readonly subject: string;
  readonly id: string;
  readonly data: Record<string, unknown>;
}

async function logged(): Promise<Line[]> {
  const lines: Line[] = [];
  for await (const { subject, envelope } of world.store.read({
    fromSeq: 1,
    filters: ['evt.policy.>'],
    follow: false,
  })) {
    lines.push({ type: envelope.type, subject, id: envelope.id, data: envelope.data as Record<string, unknown> });
  }
  return lines;
}

/** The story of one subject in short: `name=enabled`, or `orphaned`. */
async function story(address: string): Promise<string[]> {
  const lines = (await logged()).filter(({ subject }) => subject === `evt.policy.${address}`);
  return lines.map(({ type, data }) => (type === 'policy.changed' ? `${data.name}=${data.enabled}` : 'orphaned'));
}

const REGISTRATION = ['registered-app=true'];
const KMS_SETUP = ['implementation-upgrade=true', 'owner=true', 'app-implementation=true'];
const APP_SETUP = ['implementation-upgrade=true', 'owner=true'];

describe('the log of policy changes', () => {
  it('says what contract and apps reported, in order, with block, transaction and value', async () => {
    await approveOsImage(owner, contract, hash('05'));
    const appId = await deployApp(owner, contract, { composeHash: hash('c1'), allowAnyDevice: true });
    await approveCompose(owner, appId, hash('c2'));
    await revokeCompose(owner, appId, hash('c1'));
    expect(await indexer().index()).toMatchObject({ logged: 11, orphaned: 0 });
    expect(await story(contract)).toEqual([...KMS_SETUP, 'os-image=true', ...REGISTRATION]);
    expect(await story(appId)).toEqual([
      ...APP_SETUP,
      ...['allow-any-device=true', 'compose-hash=true', 'compose-hash=true', 'compose-hash=false'],
    ]);
    const last = (await logged()).at(-1);
    const block = await provider.getBlock('latest');
    expect(last?.data).toEqual({
      ...{ chainId: 31337, contract, app: appId, name: 'compose-hash', value: hash('c1'), enabled: false },
      ...{ block: block?.number, blockHash: block?.hash?.slice(2), logIndex: 0 },
      blockTime: block?.date?.toISOString(),
      transaction: block?.transactions[0]?.slice(2),
    });
    expect(last?.id).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('grows by what is new only, also in a new process and in a second replica', async () => {
    const first = indexer();
    await first.index();
    expect(await first.index()).toMatchObject({ logged: 0 });
    await approveOsImage(owner, contract, hash('05'));
    expect(await first.index()).toMatchObject({ logged: 1 });
    expect(await indexer().index()).toMatchObject({ logged: 0 });
    const second = indexer();
    await second.index();
    await approveOsImage(owner, contract, hash('06'));
    await first.index();
    await second.index().catch(() => second.index());
    await Promise.allSettled([first.index(), second.index()]);
    expect(await story(contract)).toEqual([...KMS_SETUP, 'os-image=true', 'os-image=true']);
  });

  it('takes in the history of an app that is registered late, and the same in steps of one block', async () => {
    const other = (await deployKms(owner)).kms;
    const appId = await deployApp(owner, other, { composeHash: hash('c1'), allowAnyDevice: false });
    await approveCompose(owner, appId, hash('c2'));
    const steps = indexer({ rangeBlocks: 1 });
    await steps.index();
    expect(await story(appId)).toEqual([]);
    await registerApp(owner, contract, appId);
    await approveCompose(owner, appId, hash('c3'));
    await registerApp(owner, contract, appId);
    await steps.index();
    expect(await story(appId)).toEqual([...APP_SETUP, 'compose-hash=true', 'compose-hash=true', 'compose-hash=true']);
    expect(await story(contract)).toEqual([...KMS_SETUP, ...REGISTRATION, ...REGISTRATION]);
  });

  it('waits for confirmations', async () => {
    await approveOsImage(owner, contract, hash('05'));
    const cautious = indexer({ confirmations: 2 });
    await cautious.index();
    expect(await story(contract)).not.toContain('os-image=true');
    await provider.send('anvil_mine', ['0x2']);
    await cautious.index();
    expect(await story(contract)).toContain('os-image=true');
  });

  it('logs every kind of change', async () => {
    const kms = kmsContract(contract, owner);
    const appId = await deployApp(owner, contract, {
      ...{ allowAnyDevice: false, requireTcbUpToDate: true, deviceId: hash('de') },
    });
    const app = appContract(appId, owner);
    for (const [target, method, ...args] of [
      [kms, 'addKmsAggregatedMr', `0x${hash('a1')}`],
      [kms, 'removeKmsAggregatedMr', `0x${hash('a1')}`],
      [kms, 'addKmsDevice', `0x${hash('de')}`],
      [kms, 'removeKmsDevice', `0x${hash('de')}`],
      [kms, 'addOsImageHash', `0x${hash('05')}`],
      [kms, 'removeOsImageHash', `0x${hash('05')}`],
      [kms, 'setGatewayAppId', 'any'],
      [kms, 'setKmsInfo', { k256Pubkey: '0x02', caPubkey: '0x', quote: '0x', eventlog: '0x' }],
      [app, 'setAllowAnyDevice', true],
      [app, 'setRequireTcbUpToDate', false],
      [app, 'removeDevice', `0x${hash('de')}`],
      [app, 'disableUpgrades'],
    ] as const) {
      await (await target.getFunction(method)(...args)).wait();
    }
    await indexer().index();
    expect((await story(contract)).slice(KMS_SETUP.length)).toEqual([
      ...REGISTRATION,
      ...['kms-aggregated-mr=true', 'kms-aggregated-mr=false', 'kms-device=true', 'kms-device=false'],
      ...['os-image=true', 'os-image=false', 'gateway-app-id=true', 'kms-info=true'],
    ]);
    expect((await story(appId)).slice(APP_SETUP.length)).toEqual([
      ...['require-tcb-up-to-date=true', 'device=true', 'allow-any-device=true', 'require-tcb-up-to-date=false'],
      ...['device=false', 'upgrades-disabled=true'],
    ]);
  });
});

describe('a reorganised chain', () => {
  it('has what left it marked as orphaned, and what replaced it logged', async () => {
    const follower = indexer();
    await follower.index();
    const before = await provider.send('evm_snapshot', []);
    await approveOsImage(owner, contract, hash('05'));
    await approveOsImage(owner, contract, hash('06'));
    await follower.index();
    await provider.send('evm_revert', [before]);
    owner.reset();
    await provider.send('anvil_mine', ['0x1']);
    await approveOsImage(owner, contract, hash('07'));
    await provider.send('anvil_mine', ['0x1']);
    expect(await follower.index()).toMatchObject({ orphaned: 2, logged: 1 });
    expect(await story(contract)).toEqual([
      ...KMS_SETUP,
      ...['os-image=true', 'os-image=true', 'orphaned', 'orphaned', 'os-image=true'],
    ]);
    const lines = await logged();
    const [newest, older] = lines.filter(({ type }) => type === 'policy.change-orphaned');
    const changes = lines.filter(({ data }) => data.name === 'os-image');
    expect([newest?.data.changeId, older?.data.changeId]).toEqual([changes[1]?.id, changes[0]?.id]);
    expect(await indexer().index()).toMatchObject({ logged: 0, orphaned: 0 });
  });

  it('gives away a change in a block that replaced one without any', async () => {
    const follower = indexer();
    const before = await provider.send('evm_snapshot', []);
    await provider.send('anvil_mine', ['0x3']);
    await follower.index();
    await provider.send('evm_revert', [before]);
    owner.reset();
    await approveOsImage(owner, contract, hash('05'));
    await provider.send('anvil_mine', ['0x5']);
    expect(await follower.index()).toMatchObject({ logged: 1, orphaned: 0 });
  });

  it('is waited for while the node is behind the log', async () => {
    const before = await provider.send('evm_snapshot', []);
    await approveOsImage(owner, contract, hash('05'));
    const follower = indexer();
    await follower.index();
    await provider.send('evm_revert', [before]);
    owner.reset();
    await expect(follower.index()).rejects.toMatchObject({
      code: 'policy-unavailable',
      message: expect.stringMatching(/before block \d+ of the last logged change/),
    });
    expect(await story(contract)).not.toContain('orphaned');
  });
});

describe('a follower that is killed', () => {
  it('anywhere, at random, has logged every change once and in order in the end', async () => {
    const random = new SeededRandom('policy-indexer');
    const apps: string[] = [];
    for (let step = 0; step < 30; step += 1) {
      const app = apps[random.below(apps.length + 1)];
      if (app === undefined) apps.push(await deployApp(owner, contract, { allowAnyDevice: true }));
      else if (random.below(2) === 0) await approveCompose(owner, app, hash('c1'));
      else await revokeCompose(owner, app, hash('c1'));
    }
    let kills = 0;
    for (let round = 0; round < 200; round += 1) {
      const store = Object.create(world.store) as typeof world.store;
      let left = random.below(6);
      store.append = async (event, expected) => {
        if (left <= 0) throw new Error('killed before the append');
        left -= 1;
        const outcome = await world.store.append(event, expected);
        if (left <= 0 && random.below(2) === 0) throw new Error('killed after the append');
        return outcome;
      };
      const writer = world.writerTo(store);
      const range = await indexer({ writer, rangeBlocks: 1 + random.below(8) })
        .index()
        .catch((error: Error) => {
          expect(error.message).toMatch(/^killed/);
          return undefined;
        });
      if (range !== undefined) break;
      kills += 1;
    }
    expect(kills).toBeGreaterThan(5);
    const killed = await logged();
    expect(new Set(killed.map(({ id }) => id)).size).toBe(killed.length);
    world = new KmsWorld();
    await indexer().index();
    const calm = await logged();
    for (const address of [contract, ...apps]) {
      const of = (lines: Line[]) => lines.filter(({ subject }) => subject.endsWith(address)).map(({ id }) => id);
      expect(of(killed)).toEqual(of(calm));
    }
  });
});

describe('a node that cannot be believed', () => {
  it('gives nothing to log: away, on another chain, without logs', async () => {
    await expect(indexer({ chainId: 1 }).index()).rejects.toThrow(/on chain 31337, not on chain 1/);
    const away = jsonRpcProvider('http://127.0.0.1:9', 500);
    await expect(indexer({ provider: away }).index()).rejects.toMatchObject({ code: 'policy-unavailable' });
    away.destroy();
    const stub = await startStubServer((request, response) => {
      request.setEncoding('utf8');
      request.on('data', (text: string) => {
        const { id, method } = JSON.parse(text) as { id: number; method: string };
        const block = { number: '0x1', hash: `0x${hash('b1')}`, timestamp: '0x1' };
        const foreign = {
          ...{ address: `0x${'77'.repeat(20)}`, topics: [`0x${hash('00')}`], data: '0x', blockNumber: '0x1' },
          ...{ blockHash: block.hash, transactionHash: block.hash, logIndex: '0x0' },
        };
        const result = { eth_chainId: '0x7a69', eth_getBlockByNumber: block, eth_getLogs: [foreign] }[method];
        response.end(JSON.stringify({ jsonrpc: '2.0', id, result }));
      });
    });
    const lying = jsonRpcProvider(stub.url, 500);
    await expect(indexer({ provider: lying, startBlock: 0 }).index()).rejects.toThrow(/answered what was not asked/);
    lying.destroy();
    await stub.stop();
    expect(await logged()).toEqual([]);
  });
});
