import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { deployApp, deployKms, jsonRpcProvider, privateKeySigner } from '@vouch/contracts';
import { type LocalServer, startAnvil } from '@vouch/platform/local-servers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

/** First two keys of anvil's public development mnemonic: worth nothing outside a local node. */
const OWNER_KEY = '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80';
const STRANGER_KEY = '0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d';
const IMAGE = '05'.repeat(32);
const DEVICE = 'de'.repeat(32);
const bin = resolve(import.meta.dirname, '../../bin/vouch.mjs');

let folder = '';
let chain: LocalServer;
let kms = '';
let app = '';
let compose = '';
let composeHash = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vouch-cp-'));
  chain = await startAnvil({ dataDir: join(folder, 'chain') });
  const provider = jsonRpcProvider(chain.url);
  const owner = privateKeySigner(provider, OWNER_KEY);
  kms = (await deployKms(owner)).kms;
  app = await deployApp(owner, kms, { allowAnyDevice: false });
  provider.destroy();
  compose = join(folder, 'app-compose.json');
  await writeFile(compose, '{"name":"hello"}');
  composeHash = createHash('sha256')
    .update(await readFile(compose))
    .digest('hex');
  await writeContext('owner', OWNER_KEY);
  await writeContext('stranger', STRANGER_KEY);
  await writeContext('reader', undefined);
  await writeContext('away', OWNER_KEY, 'http://127.0.0.1:9');
  await writeContext('nowhere', OWNER_KEY, chain.url, `0x${'44'.repeat(20)}`);
});
afterAll(async () => {
  await chain.kill9();
  await rm(folder, { recursive: true, force: true });
});

async function writeContext(name: string, key: string | undefined, rpcUrl = chain.url, kmsContract = `0x${kms}`) {
  const walletKeyFile = join(folder, `${name}.key`);
  if (key !== undefined) await writeFile(walletKeyFile, `${key}\n`, { mode: 0o600 });
  const context = {
    ...{ apiUrl: 'http://127.0.0.1:9', apiToken: 'x'.repeat(32), log: { origin: 'test', publicKey: 'x' } },
    gateway: { host: '127.0.0.1', port: 1, baseDomain: 'example' },
    chain: { rpcUrl, kmsContract, ...(key === undefined ? {} : { walletKeyFile }) },
  };
  await writeFile(join(folder, `${name}.json`), JSON.stringify(context), { mode: 0o600 });
}

function vouch(args: string, context = 'owner'): Promise<{ code: number; out: string; err: string }> {
  return new Promise((done) => {
    const env = { ...process.env, VOUCH_DATA: folder, VOUCH_CONTEXT: join(folder, `${context}.json`) };
    execFile(process.execPath, [bin, 'policy', ...args.split(' ')], { env }, (error, out, err) => {
      done({ code: error === null ? 0 : Number(error.code), out, err });
    });
  });
}

describe('vouch policy', () => {
  it('says before a deploy what stands in the way, and which command clears it', async () => {
    const { code, out } = await vouch(`diff ${app} ${compose} --image ${IMAGE} --device ${DEVICE}`, 'reader');
    expect(code).toBe(5);
    expect(out).toMatch(/ok {3}app registered/);
    expect(out).toMatch(new RegExp(`FAIL image allowed .*\\n.*vouch policy allow image ${IMAGE}`));
    expect(out).toMatch(new RegExp(`FAIL compose allowed .*\\n.*vouch policy allow compose ${app} ${composeHash}`));
    expect(out).toMatch(/denied: OS image is not allowed at block \d+ of chain 31337/);
  });

  it('changes policy with the wallet, prints the transaction, and changes nothing twice', async () => {
    const image = await vouch(`allow image ${IMAGE}`);
    expect(image).toMatchObject({ code: 0, out: expect.stringMatching(/^0x[0-9a-f]{64}\n$/) });
    expect(await vouch(`allow image 0x${IMAGE}`)).toMatchObject({ code: 0, out: expect.stringMatching(/already/) });
    const json = await vouch(`allow compose ${app} ${compose} -o json`);
    expect(JSON.parse(json.out)).toMatchObject({ state: 'allowed', changed: true, block: expect.any(Number) });
    expect((await vouch(`allow device ${app} ${DEVICE}`)).code).toBe(0);
    const allowed = await vouch(`diff ${app} ${compose} --image ${IMAGE} --device ${DEVICE} -o json`);
    expect(allowed.code).toBe(0);
    expect(JSON.parse(allowed.out)).toMatchObject({ isAllowed: true, reason: '', composeHash, chainId: 31337 });
    expect((await vouch(`deny device ${app} ${DEVICE}`)).code).toBe(0);
    expect((await vouch(`allow device ${app} any`)).code).toBe(0);
    expect((await vouch(`allow device kms ${DEVICE}`)).code).toBe(0);
  });

  it('shows what is allowed', async () => {
    const ofKms = JSON.parse((await vouch('show kms -o json', 'reader')).out);
    expect(ofKms).toMatchObject({ contract: kms, chainId: 31337, osImages: [IMAGE], devices: [DEVICE], apps: [app] });
    const ofApp = JSON.parse((await vouch(`show 0x${app} -o json`, 'reader')).out);
    expect(ofApp).toMatchObject({
      ...{ app, isRegistered: true, allowAnyDevice: true, requireTcbUpToDate: false, upgradesDisabled: false },
      ...{ composeHashes: [composeHash], devices: [] },
    });
    expect((await vouch(`show ${app}`, 'reader')).out).toMatch(new RegExp(`composeHashes\\s+${composeHash}`));
  });

  it('is refused to a wallet that does not own the contract', async () => {
    const refused = await vouch(`deny compose ${app} ${composeHash}`, 'stranger');
    expect(refused).toMatchObject({ code: 5, err: expect.stringMatching(/OwnableUnauthorizedAccount/) });
    expect(JSON.parse((await vouch(`show ${app} -o json`)).out)).toMatchObject({ composeHashes: [composeHash] });
  });

  it.each([
    ['show kms', 'away', 3, /eth_chainId failed/],
    [`allow image ${'06'.repeat(32)}`, 'away', 3, /127\.0\.0\.1:9 does not answer/],
    ['show kms', 'nowhere', 3, /no DstackKms answers/],
    [`show ${'77'.repeat(20)}`, 'owner', 3, /no DstackApp answers/],
    [`allow image ${'06'.repeat(32)}`, 'reader', 1, /no wallet/],
    ['allow image beef', 'owner', 1, /32 bytes in hex/],
    [`allow compose ${'aa'.repeat(20)} missing.json`, 'owner', 1, /neither a compose hash nor a file/],
    ['show hello', 'owner', 3, /127\.0\.0\.1:9/],
    ['show kms --from-block x', 'owner', 1, /a block number/],
    ['allow', 'owner', 1, /Usage/],
  ])('`policy %s` (%s) ends with %i and says why', async (args, context, code, reason) => {
    expect(await vouch(args, context)).toMatchObject({ code, err: expect.stringMatching(reason) });
  });

  it('never prints the wallet’s key', async () => {
    await writeFile(join(folder, 'broken.key'), `${OWNER_KEY}00\n`);
    await writeContext('broken', `${OWNER_KEY}00`);
    const { code, out, err } = await vouch(`allow image ${'06'.repeat(32)}`, 'broken');
    expect(code).toBe(1);
    expect(err).toMatch(/holds no 0x private key/);
    expect(out + err).not.toContain(OWNER_KEY.slice(2, 20));
  });
});
