import { inspect } from 'node:util';
import { ContractFactory, Interface, id, keccak256, toUtf8Bytes, zeroPadValue } from 'ethers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addressOf, appContract, kmsContract } from './abi.js';
import type { BootInfo } from './boot-info.js';
import { readBootPolicy } from './boot-policy.js';
import { compileContracts } from './compile.js';
import { deployApp, deployKms, type KmsDeployment } from './deploy.js';
import { approveCompose, approveOsImage, registerApp, revokeCompose, revokeOsImage } from './manage.js';
import { PolicyUnavailableError } from './policy-unavailable-error.js';
import { jsonRpcProvider } from './provider.js';
import { type AnvilNode, startAnvilNode } from './testing/anvil-node.js';

const hash = (byte: string) => byte.repeat(32);
const COMPOSE = hash('c1');
const IMAGE = hash('05');
const DEVICE = hash('de');

let node: AnvilNode;
let deployment: KmsDeployment;

beforeAll(async () => {
  node = await startAnvilNode();
  deployment = await deployKms(node.owner);
});
afterAll(() => node.stop());

function bootInfo(appId: string, change: Partial<BootInfo> = {}): BootInfo {
  return {
    teeVariant: 'dstack-tdx',
    keyProviderInfo: '',
    appId,
    composeHash: COMPOSE,
    instanceId: '11'.repeat(20),
    deviceId: DEVICE,
    mrAggregated: hash('a1'),
    mrSystem: hash('a2'),
    osImageHash: IMAGE,
    tcbStatus: 'UpToDate',
    advisoryIds: [],
    ...change,
  };
}

const ask = (info: BootInfo) => readBootPolicy(node.provider, deployment.kms, info);
const newApp = (options: Partial<Parameters<typeof deployApp>[2]> = {}) =>
  deployApp(node.owner, deployment.kms, { composeHash: COMPOSE, allowAnyDevice: true, ...options });

describe('DstackKms.isAppAllowed, in its order', () => {
  it('refuses an unregistered app before anything else', async () => {
    const decision = await ask(bootInfo('99'.repeat(20), { osImageHash: hash('00') }));
    expect(decision).toMatchObject({ isAllowed: false, reason: 'App not registered' });
  });

  it('then an OS image that is not allowed, before it looks at the app', async () => {
    const appId = await newApp();
    const decision = await ask(bootInfo(appId, { osImageHash: hash('66'), composeHash: hash('00') }));
    expect(decision).toMatchObject({ isAllowed: false, reason: 'OS image is not allowed' });
  });

  it('then an app id without code', async () => {
    await approveOsImage(node.owner, deployment.kms, IMAGE);
    await registerApp(node.stranger, deployment.kms, '77'.repeat(20));
    const decision = await ask(bootInfo('77'.repeat(20)));
    expect(decision).toMatchObject({ isAllowed: false, reason: 'App not deployed or invalid address' });
  });

  it('then asks the app: TCB status, compose hash, device', async () => {
    const appId = await newApp({ allowAnyDevice: false, requireTcbUpToDate: true });
    const wrong = { tcbStatus: 'OutOfDate', composeHash: hash('00'), deviceId: hash('00') };
    expect((await ask(bootInfo(appId, wrong))).reason).toBe('TCB status is not up to date');
    expect((await ask(bootInfo(appId, { ...wrong, tcbStatus: 'UpToDate' }))).reason).toBe('Compose hash not allowed');
    expect((await ask(bootInfo(appId))).reason).toBe('Device not allowed');
    await (await appContract(appId, node.owner).getFunction('addDevice')(`0x${DEVICE}`)).wait();
    expect(await ask(bootInfo(appId))).toMatchObject({ isAllowed: true, reason: '' });
  });

  it('takes a revert of the app contract as a refusal', async () => {
    await registerApp(node.owner, deployment.kms, deployment.kmsImplementation);
    await registerApp(node.owner, deployment.kms, deployment.kms);
    expect(await ask(bootInfo(deployment.kms))).toMatchObject({ isAllowed: false });
  });
});

describe('isKmsAllowed, in its order', () => {
  it('names TCB, image, aggregated MR, then device', async () => {
    const kms = kmsContract(deployment.kms, node.owner);
    const tuple = (tcb: string, image: string, mr: string, device: string) => [
      addressOf('11'.repeat(20)),
      ...[COMPOSE].map((value) => `0x${value}`),
      addressOf('22'.repeat(20)),
      `0x${device}`,
      `0x${mr}`,
      `0x${hash('a2')}`,
      `0x${image}`,
      tcb,
      [],
    ];
    const reason = async (...args: Parameters<typeof tuple>) =>
      [...(await kms.getFunction('isKmsAllowed')(tuple(...args)))] as unknown[];
    const [mr, device] = [hash('b1'), hash('b2')];
    expect(await reason('OutOfDate', hash('00'), mr, device)).toEqual([false, 'TCB status is not up to date']);
    expect(await reason('UpToDate', hash('00'), mr, device)).toEqual([false, 'OS image is not allowed']);
    expect(await reason('UpToDate', IMAGE, mr, device)).toEqual([false, 'Aggregated MR not allowed']);
    await (await kms.getFunction('addKmsAggregatedMr')(`0x${mr}`)).wait();
    expect(await reason('UpToDate', IMAGE, mr, device)).toEqual([false, 'KMS is not allowed to boot on this device']);
    await (await kms.getFunction('addKmsDevice')(`0x${device}`)).wait();
    expect(await reason('UpToDate', IMAGE, mr, device)).toEqual([true, '']);
  });
});

describe('management', () => {
  it('follows approval and revocation of a compose hash', async () => {
    const appId = await newApp();
    const second = bootInfo(appId, { composeHash: hash('c2') });
    expect((await ask(second)).isAllowed).toBe(false);
    await approveCompose(node.owner, appId, hash('c2'));
    expect((await ask(second)).isAllowed).toBe(true);
    await revokeCompose(node.owner, appId, hash('c2'));
    expect((await ask(second)).isAllowed).toBe(false);
  });

  it('refuses a stranger every policy change', async () => {
    const appId = await newApp();
    await expect(approveCompose(node.stranger, appId, hash('c3'))).rejects.toThrow(/OwnableUnauthorizedAccount/);
    await expect(approveOsImage(node.stranger, deployment.kms, hash('06'))).rejects.toMatchObject({
      code: 'policy-change-refused',
    });
    const kms = kmsContract(deployment.kms, node.stranger);
    for (const [name, argument] of [
      ['setGatewayAppId', 'any'],
      ['setAppImplementation', addressOf('33'.repeat(20))],
      ['addKmsDevice', `0x${DEVICE}`],
      ['setKmsQuote', '0x01'],
      ['transferOwnership', addressOf('33'.repeat(20))],
    ] as const) {
      await expect(kms.getFunction(name).staticCall(argument)).rejects.toThrow(/OwnableUnauthorizedAccount/);
    }
  });

  it('moves ownership in two steps', async () => {
    const appId = await newApp();
    const stranger = await node.stranger.getAddress();
    await (await appContract(appId, node.owner).getFunction('transferOwnership')(stranger)).wait();
    expect(await appContract(appId, node.provider).getFunction('owner')()).toBe(await node.owner.getAddress());
    await (await appContract(appId, node.stranger).getFunction('acceptOwnership')()).wait();
    expect(await appContract(appId, node.provider).getFunction('owner')()).toBe(stranger);
  });

  it('never upgrades an app again once upgrades are disabled', async () => {
    const appId = await newApp();
    const app = appContract(appId, node.owner);
    const upgrade = app.getFunction('upgradeToAndCall');
    const target = addressOf(deployment.appImplementation);
    await upgrade.staticCall(target, '0x');
    await (await app.getFunction('disableUpgrades')()).wait();
    await expect(upgrade.staticCall(target, '0x')).rejects.toThrow(/Upgrades are permanently disabled/);
    const born = appContract(await newApp({ disableUpgrades: true }), node.owner);
    await expect(born.getFunction('upgradeToAndCall').staticCall(target, '0x')).rejects.toThrow(/permanently disabled/);
  });

  it('uses the documented revert strings', async () => {
    const kms = kmsContract(deployment.kms, node.owner);
    const zero = addressOf('00'.repeat(20));
    const word = `0x${hash('00')}`;
    await expect(kms.getFunction('registerApp').staticCall(zero)).rejects.toThrow(/Invalid app ID/);
    await expect(kms.getFunction('setAppImplementation').staticCall(zero)).rejects.toThrow(
      /Invalid implementation address/,
    );
    const factory = kms.getFunction('deployAndRegisterApp(address,bool,bool,bytes32,bytes32)');
    await expect(factory.staticCall(zero, false, true, word, word)).rejects.toThrow(/Invalid owner address/);
    const { ERC1967Proxy, DstackKms, DstackApp } = await compileContracts();
    const proxyOf = (implementation: string, call: string) =>
      new ContractFactory(
        Interface.from(JSON.stringify(ERC1967Proxy.abi)),
        ERC1967Proxy.bytecode,
        node.owner,
      ).getDeployTransaction(addressOf(implementation), call);
    const kmsAbi = Interface.from(JSON.stringify(DstackKms.abi));
    const appAbi = Interface.from(JSON.stringify(DstackApp.abi));
    const badKms = await proxyOf(deployment.kmsImplementation, kmsAbi.encodeFunctionData('initialize', [zero, zero]));
    await expect(node.provider.call(badKms)).rejects.toThrow(/Invalid owner address/);
    const five = 'initialize(address,bool,bool,bytes32,bytes32)';
    const badApp = await proxyOf(
      deployment.appImplementation,
      appAbi.encodeFunctionData(five, [zero, false, true, word, word]),
    );
    await expect(node.provider.call(badApp)).rejects.toThrow(/invalid owner address/);
  });

  it('refuses a second initialisation of proxy and implementation', async () => {
    const owner = await node.owner.getAddress();
    for (const address of [deployment.kms, deployment.kmsImplementation]) {
      const initialise = kmsContract(address, node.owner).getFunction('initialize');
      await expect(initialise.staticCall(owner, owner)).rejects.toThrow(/InvalidInitialization/);
    }
  });

  it('refuses to deploy an app while no implementation is set', async () => {
    const { ERC1967Proxy, DstackKms } = await compileContracts();
    const call = Interface.from(JSON.stringify(DstackKms.abi)).encodeFunctionData('initialize', [
      await node.owner.getAddress(),
      addressOf('00'.repeat(20)),
    ]);
    const proxy = await new ContractFactory(
      Interface.from(JSON.stringify(ERC1967Proxy.abi)),
      ERC1967Proxy.bytecode,
      node.owner,
    ).deploy(addressOf(deployment.kmsImplementation), call);
    const bareKms = await proxy.getAddress();
    await expect(deployApp(node.owner, bareKms, { allowAnyDevice: true })).rejects.toThrow(
      /DstackApp implementation not set/,
    );
  });
});

describe('compatibility on the chain', () => {
  it('answers ERC-165 for the documented interfaces only', async () => {
    const app = appContract(await newApp(), node.provider).getFunction('supportsInterface');
    const kms = kmsContract(deployment.kms, node.provider).getFunction('supportsInterface');
    const ids = ['0x1e079198', '0x8fd37527', '0x01ffc9a7', '0xffffffff'];
    expect(await Promise.all(ids.map((value) => app(value)))).toEqual([true, true, true, false]);
    expect(await Promise.all(ids.map((value) => kms(value)))).toEqual([true, false, true, false]);
    expect(await appContract(await newApp(), node.provider).getFunction('version')()).toBe(2n);
  });

  it('reports a change with its own event and PolicyChanged', async () => {
    const appId = await newApp();
    const receipt = await (
      await appContract(appId, node.owner).getFunction('addComposeHash')(`0x${hash('c9')}`)
    ).wait();
    const actor = zeroPadValue(await node.owner.getAddress(), 32).toLowerCase();
    expect(receipt.logs.map((log: { topics: string[] }) => log.topics)).toEqual([
      ['0xfecb34306dd9d8b785b54d65489d06afc8822a0893ddacedff40c50a4942d0af'],
      [id('PolicyChanged(address,bytes32,bytes32,bool)'), actor, id('compose-hash'), `0x${hash('c9')}`],
    ]);
    const gateway = await (await kmsContract(deployment.kms, node.owner).getFunction('setGatewayAppId')('any')).wait();
    expect(gateway.logs[1].topics[3]).toBe(keccak256(toUtf8Bytes('any')));
    expect((await ask(bootInfo(appId))).gatewayAppId).toBe('any');
  });

  it('keeps values in the documented slots of the proxy', async () => {
    const appId = await newApp({ allowAnyDevice: true, requireTcbUpToDate: true, disableUpgrades: true });
    const slot = (address: string, at: number) => node.provider.getStorage(addressOf(address), at);
    expect(BigInt(await slot(appId, 1))).toBe(0x0101n);
    expect(BigInt(await slot(appId, 3))).toBe(1n);
    expect(BigInt(await slot(deployment.kms, 9))).toBe(BigInt(addressOf(deployment.appImplementation)));
  });
});

describe('readBootPolicy', () => {
  it('answers from the block it was pinned to, and names it', async () => {
    await approveOsImage(node.owner, deployment.kms, IMAGE);
    const appId = await newApp();
    const before = await ask(bootInfo(appId));
    await revokeOsImage(node.owner, deployment.kms, IMAGE);
    expect((await ask(bootInfo(appId))).isAllowed).toBe(false);
    const again = await readBootPolicy(node.provider, deployment.kms, bootInfo(appId), {
      blockTag: before.block.number,
    });
    expect(again).toEqual(before);
    expect(before.block.hash).toBe((await node.provider.getBlock(before.block.number))?.hash?.slice(2));
    expect(before.chainId).toBe(31337);
  });

  it('is unavailable, not denied, when no contract or no node answers', async () => {
    const nowhere = readBootPolicy(node.provider, '44'.repeat(20), bootInfo('99'.repeat(20)));
    await expect(nowhere).rejects.toBeInstanceOf(PolicyUnavailableError);
    const deaf = jsonRpcProvider('http://127.0.0.1:9', 500);
    await expect(readBootPolicy(deaf, deployment.kms, bootInfo('99'.repeat(20)))).rejects.toMatchObject({
      code: 'policy-unavailable',
      retryable: true,
    });
    deaf.destroy();
  });

  it('does not repeat the URL of the node, which may hold a key', async () => {
    const wrong = jsonRpcProvider(`${node.url.replace(/:\d+$/, ':9')}/v3/an-access-key`, 500);
    const error: unknown = await readBootPolicy(wrong, deployment.kms, bootInfo('99'.repeat(20))).catch(
      (thrown) => thrown,
    );
    expect(inspect(error, { depth: 10 })).not.toContain('an-access-key');
    wrong.destroy();
  });

  it('refuses a short hash instead of padding it', async () => {
    await expect(ask(bootInfo('99'.repeat(20), { composeHash: 'c1' }))).rejects.toThrow(/32 bytes/);
  });
});
