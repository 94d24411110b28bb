import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  approveOsImage,
  deployApp,
  deployKms,
  jsonRpcProvider,
  type KmsDeployment,
  privateKeySigner,
} from '@vouch/contracts';
import { type LocalServer, startAnvil } from '@vouch/platform/local-servers';
import type { FastifyInstance } from 'fastify';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { AuthBackend } from './auth-backend.js';
import { authServer } from './auth-server.js';
import { ContractBackend } from './contract-backend.js';
import { FileBackend } from './file-backend.js';
import type { BackendSettings } from './settings.js';
import { APP, BODY, COMPOSE, hash, IMAGE } from './testing/boot-body.js';

/** First key of anvil's public development mnemonic: worth nothing outside a local node. */
const DEVELOPMENT_KEY = '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80';
const INVALID = { isAllowed: false, reason: 'invalid authorization request', gatewayAppId: '' };
const UNAVAILABLE = { isAllowed: false, gatewayAppId: '', reason: 'authorization backend unavailable' };

let folder = '';
let chain: LocalServer;
let deployment: KmsDeployment;
let appId = '';
const running: { server: FastifyInstance; backend: AuthBackend }[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vouch-as-'));
  chain = await startAnvil({ dataDir: join(folder, 'chain') });
  const provider = jsonRpcProvider(chain.url);
  const owner = privateKeySigner(provider, DEVELOPMENT_KEY);
  deployment = await deployKms(owner);
  await approveOsImage(owner, deployment.kms, IMAGE);
  appId = await deployApp(owner, deployment.kms, { composeHash: COMPOSE, allowAnyDevice: true });
  provider.destroy();
});
afterAll(async () => {
  await chain.kill9();
  await rm(folder, { recursive: true, force: true });
});
afterEach(async () => {
  for (const { server, backend } of running.splice(0)) {
    await server.close();
    backend.close();
  }
});

async function serve(backend: AuthBackend): Promise<string> {
  const server = authServer({ backend, logLevel: 'silent' });
  running.push({ server, backend });
  return await server.listen({ host: '127.0.0.1', port: 0 });
}

type ContractSettings = Extract<BackendSettings, { kind: 'contract' }>;
function contract(change: Partial<ContractSettings> = {}, now = () => new Date()): ContractBackend {
  const settings: ContractSettings = {
    ...{ kind: 'contract', rpcUrl: chain.url, contract: deployment.kms, chainId: 31337 },
    ...{ block: 'latest', maxAgeSeconds: undefined },
    ...change,
  };
  return new ContractBackend(settings, now);
}

async function post(
  url: string,
  path: string,
  body: unknown,
): Promise<{ status: number; body: unknown; epoch: string }> {
  const response = await fetch(`${url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
  return {
    status: response.status,
    body: await response.json(),
    epoch: response.headers.get('vouch-policy-epoch') ?? '',
  };
}

describe('with the policy in a contract', () => {
  it('answers exactly the three members, and names the block in a header', async () => {
    const url = await serve(contract());
    const answer = await post(url, '/bootAuth/app', { ...BODY, appId });
    expect(answer).toMatchObject({ status: 200, body: { isAllowed: true, gatewayAppId: '', reason: '' } });
    expect(answer.epoch).toMatch(/^chain 31337 contract 0x[0-9a-f]{40} block \d+ 0x[0-9a-f]{64}$/);
    expect((await post(url, '/bootAuth/app', { ...BODY, appId: `0x${appId}`, instanceId: '' })).body).toMatchObject({
      isAllowed: true,
    });
    expect((await post(url, '/bootAuth/app', { ...BODY, appId, composeHash: hash('00') })).body).toEqual({
      isAllowed: false,
      gatewayAppId: '',
      reason: 'Compose hash not allowed',
    });
    expect((await post(url, '/bootAuth/kms', { ...BODY, appId })).body).toMatchObject({
      isAllowed: false,
      reason: 'Aggregated MR not allowed',
    });
  });

  it("describes itself with dstack's members, without what may be a key in the node's URL", async () => {
    const url = await serve(contract({ rpcUrl: `${chain.url}/?key=an-access-key` }));
    const response = await fetch(url);
    expect({ status: response.status, body: await response.json() }).toEqual({
      status: 200,
      body: {
        status: 'ok',
        kmsContractAddr: `0x${deployment.kms}`,
        ethRpcUrl: chain.url,
        gatewayAppId: '',
        chainId: 31337,
        appAuthImplementation: `0x${deployment.appImplementation}`,
        appImplementation: `0x${deployment.appImplementation}`,
      },
    });
  });

  it('reads behind the head when it is told to', async () => {
    const url = await serve(contract({ block: { confirmations: 1 } }));
    const head = await post(await serve(contract()), '/bootAuth/app', { ...BODY, appId });
    const behind = await post(url, '/bootAuth/app', { ...BODY, appId });
    const blockOf = (epoch: string) => Number(/block (\d+)/.exec(epoch)?.[1]);
    expect(blockOf(behind.epoch)).toBe(blockOf(head.epoch) - 1);
    expect(behind.body).toMatchObject({ isAllowed: false, reason: 'App not registered' });
  });

  it('denies while node, chain or contract are not the ones that are meant, or the block is too old', async () => {
    const later = () => new Date(Date.now() + 3_600_000);
    for (const backend of [
      contract({ rpcUrl: 'http://127.0.0.1:9' }),
      contract({ chainId: 1 }),
      contract({ contract: '44'.repeat(20) }),
      contract({ block: 'finalized' }),
      contract({ maxAgeSeconds: 600 }, later),
    ]) {
      const url = await serve(backend);
      expect(await post(url, '/bootAuth/app', { ...BODY, appId })).toEqual({
        status: 200,
        body: UNAVAILABLE,
        epoch: '',
      });
    }
    const description = await fetch(await serve(contract({ chainId: 1 })));
    expect(description.status).toBe(500);
    expect(await description.json()).toEqual({ status: 'error', message: 'the policy cannot be read: see the log' });
  });
});

describe('with the policy in a file', () => {
  const allowed = {
    gatewayAppId: 'any',
    kmsContractAddr: '0xd5',
    chainId: 1,
    osImages: [IMAGE],
    apps: { [APP]: { composeHashes: [COMPOSE], devices: [], allowAnyDevice: true } },
  };
  const write = async (content: string) => {
    const path = join(folder, 'auth-config.json');
    await writeFile(path, content);
    return path;
  };

  it('answers by the file as it is now', async () => {
    const url = await serve(new FileBackend(await write(JSON.stringify(allowed))));
    expect(await post(url, '/bootAuth/app', BODY)).toMatchObject({
      status: 200,
      body: { isAllowed: true, gatewayAppId: 'any', reason: '' },
      epoch: expect.stringMatching(/^file [0-9a-f]{64} /),
    });
    await write(JSON.stringify({ ...allowed, osImages: [] }));
    expect((await post(url, '/bootAuth/app', BODY)).body).toMatchObject({ reason: 'OS image is not allowed' });
    expect(await (await fetch(url)).json()).toEqual({
      ...{ status: 'ok', kmsContractAddr: '0xd5', ethRpcUrl: '', gatewayAppId: 'any', chainId: 1 },
      ...{ appAuthImplementation: '', appImplementation: '' },
    });
  });

  it.each([
    ['', 'empty'],
    ['{"osImages":', 'cut'],
    ['[]', 'of another form'],
  ])('denies by %j, a file that is %s', async (content) => {
    const url = await serve(new FileBackend(await write(content)));
    expect(await post(url, '/bootAuth/app', BODY)).toEqual({ status: 200, body: UNAVAILABLE, epoch: '' });
  });

  it.each([
    ['a short hash', { ...BODY, composeHash: 'c1' }],
    ['an empty image hash', { ...BODY, osImageHash: '' }],
    ['a long app id', { ...BODY, appId: 'aa'.repeat(21) }],
    ['a missing member', { ...BODY, deviceId: undefined }],
    ['a number for a hash', { ...BODY, composeHash: 1 }],
    ['an array', []],
    ['text', '"allow"'],
    ['no JSON', '{'],
    ['nothing', ''],
    ['more than it can be', { ...BODY, tcbStatus: 'x'.repeat(300_000) }],
  ])('refuses %s with 400', async (_what, body) => {
    const url = await serve(new FileBackend(await write(JSON.stringify(allowed))));
    expect(await post(url, '/bootAuth/app', body)).toEqual({ status: 400, body: INVALID, epoch: '' });
  });

  it('answers nothing else', async () => {
    const url = await serve(new FileBackend(await write(JSON.stringify(allowed))));
    expect((await fetch(`${url}/bootAuth/app`)).status).toBe(404);
    expect((await post(url, '/bootAuth/mock', BODY)).status).toBe(404);
  });
});
