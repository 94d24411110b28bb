import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { type ClientRequest, get as httpGet, type IncomingMessage } from 'node:http';
import { get as httpsGet } from 'node:https';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { composeHashOf } from '@vouch/domain';
import { mintRootCa } from '@vouch/keys';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Guest, GuestStage } from './guest-stage.js';

const EXAMPLE = fileURLToPath(new URL('../../../examples/hello/', import.meta.url));
const ADDRESS = '127.64.8.8';

describe('examples/hello', () => {
  let stage: GuestStage;
  let guest: Guest;

  beforeAll(async () => {
    stage = await GuestStage.open();
    const compose = await readFile(join(EXAMPLE, 'app-compose.json'), 'utf8');
    guest = await stage.guest({ compose, ports: [8080, 8443], address: ADDRESS });
    await guest.startHealthy();
  });
  afterAll(async () => {
    await stage.close();
  });

  it('is built from hello.mjs, byte for byte, and the unapproved copy differs in one line', async () => {
    await promisify(execFile)(process.execPath, [join(EXAMPLE, 'build.mjs'), '--check']);
    const [approved, unapproved] = await Promise.all(
      ['app-compose.json', 'app-compose.unapproved.json'].map((name) => readFile(join(EXAMPLE, name), 'utf8')),
    );
    const script = (text = ''): string[] => (JSON.parse(text) as { bash_script: string }).bash_script.split('\n');
    const others = script(unapproved);
    expect(script(approved).filter((line, index) => line !== others[index])).toHaveLength(1);
    expect(composeHashOf(Buffer.from(approved ?? ''))).not.toBe(composeHashOf(Buffer.from(unapproved ?? '')));
  });

  it('shows what it is and what it checked', async () => {
    const facts = JSON.parse(await text((done) => httpGet({ host: ADDRESS, port: 8080, path: '/json' }, done)));
    expect(facts).toMatchObject({
      appId: guest.appId,
      instanceId: guest.instanceId,
      composeHash: guest.composeHash,
      simulated: true,
      verdict: 'consistent',
    });
    expect(facts.publicKey.value).toMatch(/^0[23][0-9a-f]{64}$/);
    const outcomes = (facts.checks as { outcome: string }[]).map(({ outcome }) => outcome);
    expect(outcomes.filter((outcome) => outcome === 'fail')).toEqual([]);
    expect(outcomes).toContain('skipped');
    const page = await text((done) => httpGet({ host: ADDRESS, port: 8080 }, done));
    expect(page).toContain(guest.appId);
    expect(page).toContain(facts.publicKey.value);
    expect(page).toContain('simulated TDX');
  });

  it('serves TLS that ends in the guest, under the KMS root, for its own names only', async () => {
    const ca = mintRootCa(stage.kms.root, new Date()).pem;
    const to = (servername: string) => ({ host: ADDRESS, port: 8443, path: '/healthz', servername, ca, agent: false });
    expect(await text((done) => httpsGet(to(`${guest.appId}-8443s.apps.example.org`), done))).toBe('ok\n');
    await expect(text((done) => httpsGet(to('someone.else.example.org'), done))).rejects.toThrow();
    const unnamed = { ...to(`${guest.appId}.apps.example.org`), ca: '' };
    await expect(text((done) => httpsGet({ ...unnamed, ca: [] }, done))).rejects.toThrow();
  });
});

type Get = (done: (answer: IncomingMessage) => void) => ClientRequest;

function text(get: Get): Promise<string> {
  return new Promise((resolve, reject) => {
    const call = get((answer) => {
      let body = '';
      answer.on('data', (chunk: Buffer) => {
        body += chunk.toString();
      });
      answer.on('end', () => resolve(body));
    });
    call.on('error', reject);
  });
}
