import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AnvilNode, startAnvilNode } from '../testing/anvil-node.js';

/** First key of anvil's public development mnemonic: worth nothing outside a local node. */
const KEY = '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80';
const entry = join(import.meta.dirname, '../../dist/scripts/main.js');
const IMAGE = `0x${'05'.repeat(32)}`;
let node: AnvilNode;
let folder = '';

beforeAll(async () => {
  node = await startAnvilNode();
  folder = await mkdtemp(join(tmpdir(), 'vouch-sc-'));
  await writeFile(join(folder, 'wallet'), `${KEY}\n`, { mode: 0o600 });
});
afterAll(async () => {
  await node.stop();
  await rm(folder, { recursive: true, force: true });
});

function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((done) => {
    const env = { PATH: process.env.PATH ?? '', ETH_RPC_URL: node.url, ETH_WALLET_KEY_FILE: join(folder, 'wallet') };
    execFile(process.execPath, [entry, ...args], { env }, (error, out, err) => {
      done({ code: error === null ? 0 : Number(error.code), out, err });
    });
  });
}

describe('the deploy and manage scripts', () => {
  it('explain themselves', async () => {
    const { code, out } = await run('--help');
    expect(code).toBe(0);
    for (const name of ['compile', 'deploy-kms', 'deploy-app', 'upgrade', 'show', 'send']) expect(out).toContain(name);
  });

  it('deploy, change, show and upgrade', async () => {
    const { kms } = JSON.parse((await run('deploy-kms')).out) as { kms: string };
    const deployed = await run('deploy-app', kms, '--compose', `0x${'c1'.repeat(32)}`, '--any-device');
    const { app } = JSON.parse(deployed.out) as { app: string };
    expect(JSON.parse((await run('send', 'kms', kms, 'addOsImageHash', IMAGE)).out)).toMatchObject({
      transaction: expect.stringMatching(/^0x/),
    });
    expect((await run('send', 'app', app, 'setRequireTcbUpToDate', 'true')).code).toBe(0);
    expect(JSON.parse((await run('show', kms)).out)).toMatchObject({ osImages: [IMAGE.slice(2)], apps: [app] });
    expect((await run('upgrade', 'app', app)).code).toBe(0);
    expect(JSON.parse((await run('show', kms, app)).out)).toMatchObject({
      ...{ composeHashes: ['c1'.repeat(32)], allowAnyDevice: true, requireTcbUpToDate: true },
    });
  });

  it.each([
    [[], 64, /usage/],
    [['destroy'], 64, /no such command/],
    [['send', 'kms'], 64, /address is missing/],
    [['send', 'vault', IMAGE], 64, /"kms" or "app"/],
    [['send', 'app', `0x${'11'.repeat(20)}`, 'owner'], 64, /no such function to send/],
    [['send', 'app', `0x${'11'.repeat(20)}`, 'addDevice'], 64, /0 arguments were given/],
    [['deploy-kms', '--bogus'], 64, /bogus/],
    [['show', '11'.repeat(20)], 1, /no DstackKms answers/],
    [['deploy-kms', '--rpc', 'http://127.0.0.1:9'], 1, /ECONNREFUSED/],
  ])('end %j with %i and say why', async (args, code, reason) => {
    const ended = await run(...args);
    expect(ended.code).toBe(code);
    expect(ended.out + ended.err).toMatch(reason);
    expect(ended.out + ended.err).not.toContain(KEY.slice(2, 20));
  });
});
