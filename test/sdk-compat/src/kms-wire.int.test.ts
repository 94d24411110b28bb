import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { verifyEnvEncryptPublicKey, verifyEnvEncryptPublicKeyLegacy } from '@phala/dstack-sdk';
import { makeTestAuthors, startTestBus, type TestBus } from '@vouch/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const MAIN = fileURLToPath(new URL('../../../apps/kms/dist/main.js', import.meta.url));
const APP_ID = '0a'.repeat(20);

/** The KMS as a process under a policy in a file, with its dstack wire open. */
describe('@phala/dstack-sdk 0.5.8 against the KMS', () => {
  let dir: string;
  let bus: TestBus;
  let kms: ChildProcess;
  let port: number;
  let k256Pub: string;

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'vouch-sdk-kms-'));
    bus = await startTestBus();
    await writeFile(join(dir, 'passphrase'), 'a passphrase for this test\n');
    await writeFile(join(dir, 'seed'), bus.seedOf({ service: 'kms', node: '' }));
    await writeFile(join(dir, 'policy.json'), '{}');
    const env = {
      ...{ PATH: process.env.PATH ?? '', NATS_URL: bus.url, VOUCH_NATS_SEED_FILE: join(dir, 'seed') },
      ...{ VOUCH_TRUST_FILE: join(dir, 'trust.json'), VOUCH_MODE: 'development', KMS_DATA_DIR: join(dir, 'kms') },
      ...{ KMS_ID: 'kms-1', KMS_PASSPHRASE_FILE: join(dir, 'passphrase'), VOUCH_PCCS_URL: 'https://127.0.0.1:9' },
      ...{ KMS_POLICY: 'file', KMS_POLICY_FILE: join(dir, 'policy.json'), KMS_RPC_LISTEN: '127.0.0.1:0' },
    };
    const bootstrap = [MAIN, 'bootstrap', '--domain', 'kms.example'];
    const { stdout } = await promisify(execFile)(process.execPath, bootstrap, { env });
    const statement = JSON.parse(stdout) as { eventKey: string; k256Pub: string };
    k256Pub = statement.k256Pub;
    const { trust } = makeTestAuthors();
    const others = trust.keys.filter(({ service }) => service !== 'kms');
    const keys = [...others, { service: 'kms', node: '', publicKey: statement.eventKey }];
    await writeFile(join(dir, 'trust.json'), JSON.stringify({ ...trust, keys }));
    kms = spawn(process.execPath, [MAIN], { env, stdio: ['ignore', 'pipe', 'inherit'] });
    port = await portOf(kms);
  });
  afterAll(async () => {
    kms.kill('SIGKILL');
    await bus.stop();
    await rm(dir, { recursive: true, force: true });
  });

  it('verifies the env public key, with time and as old clients do', async () => {
    const answer = await call(port, 'GetAppEnvEncryptPubKey', { app_id: APP_ID });
    const bytes = (name: string) => new Uint8Array(Buffer.from(String(answer[name]), 'hex'));
    const timestamp = Number(answer.timestamp);
    const signer = verifyEnvEncryptPublicKey(bytes('public_key'), bytes('signature_v1'), APP_ID, timestamp);
    expect(bare(signer)).toBe(k256Pub);
    expect(bare(verifyEnvEncryptPublicKeyLegacy(bytes('public_key'), bytes('signature'), APP_ID))).toBe(k256Pub);
    expect((await call(port, 'GetMeta', {})).k256_pubkey).toBe(k256Pub);
  });

  it('does not take the answer for another app, another time, or an old one', async () => {
    const answer = await call(port, 'GetAppEnvEncryptPubKey', { app_id: APP_ID });
    const bytes = (name: string) => new Uint8Array(Buffer.from(String(answer[name]), 'hex'));
    const [key, signature, timestamp] = [bytes('public_key'), bytes('signature_v1'), Number(answer.timestamp)];
    expect(bare(verifyEnvEncryptPublicKey(key, signature, '0b'.repeat(20), timestamp))).not.toBe(k256Pub);
    expect(bare(verifyEnvEncryptPublicKey(key, signature, APP_ID, timestamp - 1))).not.toBe(k256Pub);
    expect(verifyEnvEncryptPublicKey(key, signature, APP_ID, timestamp, { maxAgeSeconds: -1 })).toBeNull();
  });
});

const bare = (signer: string | null): string | undefined => signer?.replace(/^0x/, '');

/** The port the KMS says it listens on. Rejects when it ends first. */
async function portOf(kms: ChildProcess): Promise<number> {
  const lines = createInterface({ input: kms.stdout as NodeJS.ReadableStream });
  const listening = new Promise<number>((resolve) => {
    lines.on('line', (text) => {
      const line = JSON.parse(text) as { msg?: string; port?: number };
      if (line.msg === 'the dstack wire listens') resolve(Number(line.port));
    });
  });
  const ended = once(kms, 'exit').then(([code]) => Promise.reject(new Error(`the KMS ended with ${code}`)));
  return await Promise.race([listening, ended]);
}

function call(port: number, method: string, input: unknown): Promise<Readonly<Record<string, unknown>>> {
  return new Promise((resolve, reject) => {
    const path = `/prpc/${method}?json`;
    const sent = request({ port, path, method: 'POST', host: '127.0.0.1', rejectUnauthorized: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => resolve(JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown>));
    });
    sent.on('error', reject);
    sent.end(JSON.stringify(input));
  });
}
