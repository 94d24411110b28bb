import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type BaseContract, type Signer, ZeroHash } from 'ethers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addressOf, appContract, kmsContract } from './abi.js';
import { deployApp, deployImplementation, deployKms } from './deploy.js';
import { type AnvilNode, startAnvilNode } from './testing/anvil-node.js';

const path = join(import.meta.dirname, '../../docs/gas.md');
const word = (byte: string) => `0x${byte.repeat(32)}`;
/** Nodes price a little differently by version. */
const TOLERANCE = 0.02;
let node: AnvilNode;
beforeAll(async () => {
  node = await startAnvilNode();
});
afterAll(() => node.stop());

/** Gas of every transaction an operator sends, by name; view calls by `eth_estimateGas`. */
async function measure(): Promise<Map<string, number>> {
  const gas = new Map<string, number>();
  const { kms } = await deployKms(node.owner);
  const deployments = [
    `deploy DstackApp (implementation)`,
    `deploy DstackKms (implementation)`,
    'deploy the DstackKms proxy',
  ];
  const head = await node.provider.getBlockNumber();
  for (const [at, name] of deployments.entries()) gas.set(name, await gasOfBlock(head - 2 + at));
  const appId = await deployApp(node.owner, kms, { allowAnyDevice: true, composeHash: 'c1'.repeat(32) });
  gas.set('DstackKms.deployAndRegisterApp', await gasOfBlock(await node.provider.getBlockNumber()));
  const send = async (label: string, contract: BaseContract, method: string, ...args: unknown[]) => {
    const receipt = await (await contract.getFunction(method)(...args)).wait();
    gas.set(label, Number(receipt.gasUsed));
  };
  const ofKms = kmsContract(kms, node.owner);
  for (const method of ['addOsImageHash', 'addKmsAggregatedMr', 'addKmsDevice']) {
    await send(`DstackKms.${method}`, ofKms, method, word('05'));
  }
  await send('DstackKms.removeKmsDevice', ofKms, 'removeKmsDevice', word('05'));
  await send('DstackKms.setGatewayAppId', ofKms, 'setGatewayAppId', 'any');
  await send('DstackKms.registerApp', ofKms, 'registerApp', addressOf('77'.repeat(20)));
  const ofApp = appContract(appId, node.owner);
  await send('DstackApp.addComposeHash', ofApp, 'addComposeHash', word('c2'));
  await send('DstackApp.removeComposeHash', ofApp, 'removeComposeHash', word('c2'));
  await send('DstackApp.addDevice', ofApp, 'addDevice', word('de'));
  await send('DstackApp.setAllowAnyDevice', ofApp, 'setAllowAnyDevice', false);
  await send('DstackApp.setRequireTcbUpToDate', ofApp, 'setRequireTcbUpToDate', true);
  const implementation = addressOf(await deployImplementation(node.owner, 'DstackApp'));
  await send('DstackApp.upgradeToAndCall', ofApp, 'upgradeToAndCall', implementation, '0x');
  gas.set('DstackKms.isAppAllowed (view)', await estimate(kms, appId, node.owner));
  return gas;
}

async function gasOfBlock(number: number): Promise<number> {
  return Number((await node.provider.getBlock(number))?.gasUsed ?? 0n);
}

async function estimate(kms: string, appId: string, signer: Signer): Promise<number> {
  const zero = addressOf('00'.repeat(20));
  const bootInfo = [addressOf(appId), word('c1'), zero, word('de'), ZeroHash, ZeroHash, word('05'), 'UpToDate', []];
  return Number(await kmsContract(kms, signer).getFunction('isAppAllowed').estimateGas(bootInfo));
}

function table(gas: ReadonlyMap<string, number>): string {
  const rows = [...gas].map(([name, used]) => `| ${name} | ${used} |`);
  return `# Gas of the policy contracts

Measured on anvil with the pinned compiler (optimizer, 200 runs). A test fails when a figure moves by more than 2 %;
\`UPDATE_DOCS=1\` writes the table anew.

| transaction | gas |
|---|---:|
${rows.join('\n')}
`;
}

describe('gas', () => {
  it('is what docs/gas.md says', async () => {
    const gas = await measure();
    if (process.env.UPDATE_DOCS === '1') writeFileSync(path, table(gas));
    const committed = existsSync(path) ? readFileSync(path, 'utf8') : '';
    const said = new Map(
      [...committed.matchAll(/^\| (.+) \| (\d+) \|$/gm)].map(([, name, used]) => [name, Number(used)]),
    );
    expect([...said.keys()]).toEqual([...gas.keys()]);
    for (const [name, used] of gas) {
      const before = said.get(name) ?? 0;
      expect(Math.abs(used - before), `${name}: ${before} -> ${used}`).toBeLessThanOrEqual(before * TOLERANCE);
    }
  });
});
