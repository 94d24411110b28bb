import { createHash, randomBytes, X509Certificate } from 'node:crypto';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { VersionedAttestation } from '@vouch/attestation';
import { approveCompose, deployApp } from '@vouch/contracts';
import {
  deriveAppCaKey,
  deriveAppKeys,
  deriveEnvCryptKey,
  generateP256,
  PassphraseKeyProvider,
  recoverEnvKeySigner,
  verifyAppKeySignature,
  x25519PublicKey,
} from '@vouch/keys';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { loadRoot } from '../root/root-files.js';
import type { ChildService } from '../testing/child-service.js';
import { DstackGuest, type WireClient, wireCall, wireRequest } from '../testing/dstack-guest.js';
import { KmsStack, OS_IMAGE } from '../testing/kms-stack.js';
import { SimulatedGuest } from '../testing/simulated-guest.js';

const COMPOSE = 'c0'.repeat(32);
const ADMIN_TOKEN = 'an administrator token';
/** vm_config of a TDX guest, as far as measurement needs it. */
const TDX_MACHINE = { os_image_hash: OS_IMAGE, cpu_count: 1, memory_size: 2_147_483_648, qemu_version: '9.1.0' };
const ANYBODY: WireClient = { ca: null };
let stack: KmsStack;
let kms: ChildService;
let port: number;
let appId: string;
let tempCaKey: string;
let caCert: string;

beforeAll(async () => {
  stack = await KmsStack.start();
  stack.startAuditor();
  await writeFile(join(stack.dir, 'admin-token'), `${ADMIN_TOKEN}\n`);
  appId = await stack.withSigner((signer) =>
    deployApp(signer, stack.kmsContract, { composeHash: COMPOSE, allowAnyDevice: true }),
  );
  kms = stack.kms({ KMS_RPC_LISTEN: '127.0.0.1:0', KMS_ADMIN_TOKEN_FILE: join(stack.dir, 'admin-token') });
  port = Number((await kms.line(({ msg }) => msg === 'the dstack wire listens')).port);
  const { json } = await wireCall(ANYBODY, port, 'GetTempCaCert');
  tempCaKey = String(json.temp_ca_key);
  caCert = String(json.ca_cert);
});
afterAll(async () => {
  await kms.end('SIGKILL');
  await stack.stop();
});
afterEach(() => {
  expect(kms.lines.filter(({ level }) => level === 'error' || level === 60)).toEqual([]);
});

async function bootedGuest(composeHash = COMPOSE, osImage = OS_IMAGE): Promise<DstackGuest> {
  const instanceId = randomBytes(20).toString('hex');
  return new DstackGuest(await SimulatedGuest.boot(stack.simulatorDir, osImage, { appId, instanceId, composeHash }));
}

const events = () => stack.store.readSubject(`evt.dstack.${appId}`);
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const rootKeys = async () => {
  const unsafePassphrase = new TextEncoder().encode('a passphrase for this test');
  const provider = new PassphraseKeyProvider({ unsafePassphrase });
  return (await loadRoot({ dataDir: join(stack.dir, 'kms'), provider })).keys;
};

async function thenRefused(client: WireClient, check: string, told: RegExp, method = 'GetAppKey'): Promise<void> {
  const before = (await events()).length;
  const { status, json } = await wireCall(client, port, method, { api_version: 1, vm_config: '' });
  expect({ status, error: json.error }).toEqual({ status: 400, error: expect.stringMatching(told) });
  const last = (await stack.store.read({ fromSeq: 1, filters: ['evt.dstack.>'], follow: false })) as AsyncIterable<{
    envelope: { type: string; data: { failedCheck: string } };
  }>;
  let found: { type: string; data: { failedCheck: string } } | undefined;
  for await (const { envelope } of last) found = envelope;
  expect({ type: found?.type, check: found?.data.failedCheck }).toEqual({ type: 'dstack.release-refused', check });
  expect((await events()).length - before).toBeLessThanOrEqual(1);
}

describe('a dstack guest that boots', () => {
  it('gets its keys in two connections, and the log says so first', async () => {
    const guest = await bootedGuest();
    const first = await wireCall(ANYBODY, port, 'GetTempCaCert');
    expect(Object.keys(first.json)).toEqual(['temp_ca_cert', 'temp_ca_key', 'ca_cert']);
    const client = await guest.client(String(first.json.temp_ca_key), String(first.json.ca_cert));
    const body = JSON.stringify({ api_version: 1, vm_config: '' });
    const answer = await wireRequest(client, { port, path: '/prpc/KMS.GetAppKey?json', body });
    // The usage extension that tells the KMS from an app with a certificate under the same root.
    const usage = Buffer.concat([
      Buffer.from('060a2b0601040183e73d0104', 'hex'),
      Buffer.from('040904076b6d733a727063', 'hex'),
    ]);
    expect(answer.serverCertificate.includes(usage)).toBe(true);
    const json = JSON.parse(answer.body.toString()) as Record<string, string>;
    expect({ status: answer.status, error: json.error }).toEqual({ status: 200, error: undefined });
    const root = await rootKeys();
    const { instanceId } = guest.guest.measured;
    const keys = deriveAppKeys(root, Buffer.from(appId, 'hex'), Buffer.from(instanceId, 'hex'));
    expect(json).toEqual({
      ca_cert: String(first.json.ca_cert),
      disk_crypt_key: hex(keys.diskCryptKey),
      env_crypt_key: hex(keys.envCryptKey),
      k256_key: hex(keys.k256Key),
      k256_signature: hex(keys.k256Signature),
      tproxy_app_id: '',
      gateway_app_id: '',
      os_image_hash: OS_IMAGE,
    });
    const kmsK256PublicKey = Buffer.from(String((await wireCall(ANYBODY, port, 'GetMeta')).json.k256_pubkey), 'hex');
    const [appPublicKey, signature] = [keys.k256PublicKey, Buffer.from(json.k256_signature ?? '', 'hex')];
    expect(verifyAppKeySignature({ kmsK256PublicKey, appId: Buffer.from(appId, 'hex'), appPublicKey, signature })).toBe(
      true,
    );
    const event = (await events()).at(-1)?.envelope;
    expect(event).toMatchObject({
      type: 'dstack.app-keys-released',
      data: {
        ...{ kmsId: 'kms-1', method: 'GetAppKey', appId, instanceId, composeHash: COMPOSE, osImageHash: OS_IMAGE },
        evidence: { form: 'client-certificate' },
        policy: { source: 'contract', contract: stack.kmsContract, chainId: 31337 },
        unsafe: ['unsafePassphraseKeyProvider', 'unsafeProcessGuest', 'unsafeTrustAnchor'],
      },
    });
    const { evidence, checks } = (
      event as { data: { evidence: { bytes: string; digest: string }; checks: { name: string; outcome: string }[] } }
    ).data;
    expect(createHash('sha256').update(Buffer.from(evidence.bytes, 'base64')).digest('hex')).toBe(evidence.digest);
    expect(Buffer.from(evidence.bytes, 'base64')).toEqual(new X509Certificate(client.cert ?? '').raw);
    expect(checks.filter(({ outcome }) => outcome === 'fail')).toEqual([]);
    // A stripped log cannot replay the boot registers: skipped, never passed.
    expect(checks.find(({ name }) => name === 'event-log.rtmr1')?.outcome).toBe('skipped');
    expect(checks.find(({ name }) => name === 'event-log.rtmr3')?.outcome).toBe('pass');
    for (const secret of [json.disk_crypt_key, json.env_crypt_key, json.k256_key]) {
      expect(JSON.stringify(await events()) + JSON.stringify(kms.lines)).not.toContain(secret);
    }
  });

  it('is certified under its app for names that are its own', async () => {
    const guest = await bootedGuest();
    const key = generateP256();
    const names = ['hello.example.com', `${appId}-8080.gw.example`, '127.0.0.1'];
    const request = await guest.csr({ subjectAltNames: names, subject: 'demo' }, key);
    const { status, json } = await wireCall(ANYBODY, port, 'SignCert', { api_version: 2, ...request, vm_config: '' });
    expect({ status, error: json.error }).toEqual({ status: 200, error: undefined });
    const [leaf, appCa, rootCa] = (json.certificate_chain as string[]).map((pem) => new X509Certificate(pem));
    if (leaf === undefined || appCa === undefined || rootCa === undefined) throw new Error('three certificates');
    expect(leaf.verify(appCa.publicKey) && appCa.verify(rootCa.publicKey)).toBe(true);
    expect(rootCa.toString()).toBe(new X509Certificate(caCert).toString());
    const appCaKey = deriveAppCaKey(await rootKeys(), Buffer.from(appId, 'hex'));
    expect(hex(appCa.publicKey.export({ format: 'der', type: 'spki' }))).toBe(hex(appCaKey.spki));
    expect(leaf.subjectAltName).toBe(`DNS:${names[0]}, DNS:${names[1]}, IP Address:127.0.0.1`);
    for (const extension of ['060a2b0601040183e73d0103', '060a2b0601040183e73d0108', '060a2b0601040183e73d0109']) {
      expect(leaf.raw.includes(Buffer.from(extension, 'hex'))).toBe(true);
    }
    expect((await events()).at(-1)?.envelope).toMatchObject({
      type: 'dstack.certificate-signed',
      data: { method: 'SignCert', subject: 'demo', altNames: names, evidence: { form: 'csr-v2' } },
    });
  });
});

describe('evidence that is not good enough', () => {
  it('binds the key of another', async () => {
    const guest = await bootedGuest();
    const other = generateP256();
    const borrowed = await guest.attestation(other.spki);
    await thenRefused(
      await guest.client(tempCaKey, caCert, () => borrowed),
      'ratls.key-binding',
      /invalid quote.*another key/,
    );
    // The same on a method that needs no evidence: it is an error on every method.
    const { status, json } = await wireCall(await guest.client(tempCaKey, caCert, () => borrowed), port, 'GetMeta');
    expect({ status, error: json.error }).toEqual({ status: 400, error: expect.stringMatching(/invalid quote/) });
  });

  it('has an edited event log', async () => {
    const guest = await bootedGuest('c7'.repeat(32));
    const edited = (attestation: VersionedAttestation): VersionedAttestation => {
      const fix = <E extends { event: string; payload: Uint8Array }>(event: E): E =>
        event.event === 'compose-hash' ? { ...event, payload: Buffer.from(COMPOSE, 'hex') } : event;
      const { platform, stack: claims } = attestation;
      if (platform.kind !== 'tdx') throw new TypeError('TDX');
      return {
        ...attestation,
        platform: { ...platform, eventLog: platform.eventLog.map(fix) },
        stack: { ...claims, runtimeEvents: claims.runtimeEvents.map(fix) },
      };
    };
    await thenRefused(await guest.client(tempCaKey, caCert, edited), 'event-log.rtmr3', /invalid quote/);
  });

  it('is of a compose file nobody approved, until the owner does', async () => {
    const composeHash = 'c8'.repeat(32);
    const guest = await bootedGuest(composeHash);
    await thenRefused(await guest.client(tempCaKey, caCert), 'policy.app', /^Boot denied: Compose hash not allowed$/);
    await stack.withSigner((signer) => approveCompose(signer, appId, composeHash));
    const client = await guest.client(tempCaKey, caCert);
    expect((await wireCall(client, port, 'GetAppKey', { api_version: 1, vm_config: '' })).status).toBe(200);
  });

  it('names an image that was not booted, or one nobody can verify', async () => {
    const guest = await bootedGuest();
    const vmConfig = (text: string) => (attestation: VersionedAttestation) => ({
      ...attestation,
      stack: { ...attestation.stack, config: text },
    });
    const { config } = (await guest.attestation(generateP256().spki)).stack;
    const other = vmConfig(config.replace(OS_IMAGE, '06'.repeat(32)));
    await thenRefused(
      await guest.client(tempCaKey, caCert, other),
      'os-image.measurement',
      /os image cannot be verified: rtMr1/,
    );
    const unknown = vmConfig(JSON.stringify(TDX_MACHINE));
    await thenRefused(
      await guest.client(tempCaKey, caCert, unknown),
      'os-image.measurement',
      /os image cannot be verified: no source of images is set up|os image cannot be verified: .*no measurement/,
    );
    const lite = vmConfig(JSON.stringify({ ...TDX_MACHINE, tdx_attestation_variant: 'lite' }));
    await thenRefused(
      await guest.client(tempCaKey, caCert, lite),
      'os-image.measurement',
      /os image cannot be verified: .*no measurement of image/,
    );
    const none = vmConfig('');
    await thenRefused(
      await guest.client(tempCaKey, caCert, none),
      'os-image.measurement',
      /os image cannot be verified/,
    );
  });

  it('has a quote that was touched: refused, and not worth a place in the log', async () => {
    const guest = await bootedGuest();
    const before = (await events()).length;
    const client = await guest.client(tempCaKey, caCert, (attestation) => {
      if (attestation.platform.kind !== 'tdx') throw new TypeError('TDX');
      const quote = Uint8Array.from(attestation.platform.quote);
      quote[48 + 136] = (quote[48 + 136] ?? 0) ^ 1;
      return { ...attestation, platform: { ...attestation.platform, quote } };
    });
    const { status, json } = await wireCall(client, port, 'GetAppKey', { api_version: 1, vm_config: '' });
    expect({ status, error: json.error }).toEqual({ status: 400, error: expect.stringMatching(/quote\.signature/) });
    expect((await events()).length).toBe(before);
  });

  it('is missing, or under a CA that is not the temp CA', async () => {
    const input = { api_version: 1, vm_config: '' };
    expect((await wireCall({ ca: caCert }, port, 'GetAppKey', input)).json).toEqual({
      error: 'No attestation provided',
    });
    const guest = await bootedGuest();
    const ownCa = generateP256().privateKey.export({ format: 'pem', type: 'pkcs8' }) as string;
    const foreign = await wireCall(await guest.client(ownCa, caCert), port, 'GetMeta');
    expect(foreign).toMatchObject({ status: 400, json: { error: expect.stringMatching(/not accepted/) } });
  });
});

describe('a certificate request that asks for too much', () => {
  const sign = async (config: Parameters<DstackGuest['csr']>[0], guest?: DstackGuest) => {
    const request = await (guest ?? (await bootedGuest())).csr(config);
    return await wireCall(ANYBODY, port, 'SignCert', { api_version: 2, ...request, vm_config: '' });
  };
  const year = 366 * 24 * 3600;

  it.each([
    [{ subjectAltNames: ['kms.example'] }, /reserved domain/],
    [{ subjectAltNames: ['*.kms.example'] }, /reserved domain/],
    [{ subject: 'kms.example' }, /reserved domain/],
    [{ subjectAltNames: ['10.0.0.1'] }, /loopback/],
    [{ subjectAltNames: ['not a name'] }, /not a DNS name/],
    [{ notAfter: Math.floor(Date.now() / 1000) + 2 * year }, /one year/],
    [{ orgName: 'a\nb' }, /organization/],
  ])('%j is refused, and the refusal is logged', async (config, reason) => {
    const { status, json } = await sign(config);
    expect({ status, error: json.error }).toEqual({ status: 400, error: expect.stringMatching(reason) });
    expect((await events()).at(-1)?.envelope).toMatchObject({
      type: 'dstack.release-refused',
      data: { method: 'SignCert', failedCheck: 'certificate.terms', appId },
    });
  });

  it('signed by another key, for an API version there is not, or with bytes behind', async () => {
    const guest = await bootedGuest();
    const request = await guest.csr({}, generateP256(), generateP256());
    const call = async (input: object) => (await wireCall(ANYBODY, port, 'SignCert', { ...input, vm_config: '' })).json;
    expect(await call({ api_version: 2, ...request })).toEqual({
      error: expect.stringMatching(/not signed by the key/),
    });
    const good = await guest.csr({});
    expect(await call({ api_version: 0, ...good })).toEqual({ error: 'Unsupported API version' });
    expect(await call({ api_version: 3, ...good })).toEqual({ error: 'Unsupported API version' });
    expect(await call({ api_version: 2, ...good, csr: `${good.csr}00` })).toEqual({
      error: expect.stringMatching(/csr/),
    });
  });

  it('for a key its evidence does not bind', async () => {
    const guest = await bootedGuest();
    const bound = await guest.attestation(generateP256().spki);
    const liar = new DstackGuest(guest.guest);
    liar.attestation = async () => bound;
    const { json } = await sign({}, liar);
    expect(json).toEqual({ error: expect.stringMatching(/ratls\.key-binding/) });
  });
});

describe('the rest of the wire', () => {
  it('answers GetMeta by GET and POST, in JSON', async () => {
    const answer = await wireRequest(ANYBODY, { port, path: '/prpc/KMS.GetMeta', method: 'GET' });
    expect(answer.headers['content-type']).toBe('application/json');
    expect(answer.headers['x-app-version']).toBe('0.1.0');
    expect(JSON.parse(answer.body.toString())).toEqual({
      ca_cert: caCert,
      allow_any_upgrade: false,
      k256_pubkey: stack.statement?.k256Pub,
      bootstrap_info: null,
      is_dev: true,
      gateway_app_id: '',
      kms_contract_address: `0x${stack.kmsContract}`,
      chain_id: 31337,
      app_auth_implementation: null,
    });
    expect((await wireCall(ANYBODY, port, 'GetMeta')).json).toEqual(JSON.parse(answer.body.toString()));
  });

  it('signs the key of an app environment, for any app, as it is derived', async () => {
    const { json } = await wireCall(ANYBODY, port, 'GetAppEnvEncryptPubKey', { app_id: appId });
    const app = Buffer.from(appId, 'hex');
    const root = await rootKeys();
    expect(json.public_key).toBe(hex(x25519PublicKey(deriveEnvCryptKey(root, app))));
    const envPublicKey = Buffer.from(String(json.public_key), 'hex');
    const legacy = { appId: app, envPublicKey, signature: Buffer.from(String(json.signature), 'hex') };
    expect(recoverEnvKeySigner(legacy)).toEqual(root.k256PublicKey);
    const nowSeconds = Math.floor(Date.now() / 1000);
    const timestamped = { timestampSeconds: Number(json.timestamp), nowSeconds };
    const signature = Buffer.from(String(json.signature_v1), 'hex');
    expect(recoverEnvKeySigner({ ...legacy, signature, timestamped })).toEqual(root.k256PublicKey);
    const short = await wireCall(ANYBODY, port, 'GetAppEnvEncryptPubKey', { app_id: 'aa' });
    expect(short).toMatchObject({ status: 400, json: { error: 'app_id must be 20 bytes' } });
  });

  it('keeps what is off, off', async () => {
    const client = await (await bootedGuest()).client(tempCaKey, caCert);
    const off = await wireCall(client, port, 'GetKmsKey', { vm_config: '' });
    expect(off).toMatchObject({ status: 400, json: { error: expect.stringMatching(/switched off/) } });
    for (const [method, input] of [
      ['Bootstrap', { domain: 'kms.example' }],
      ['Onboard.Onboard', { source_url: 'https://other.example', domain: 'kms.example' }],
      ['GetAttestationInfo', {}],
      ['Onboard.Finish', {}],
    ] as const) {
      expect((await wireCall(ANYBODY, port, method, input)).status).toBe(400);
    }
  });

  it('lets nobody but the administrator clear the image cache', async () => {
    const body = JSON.stringify({ image_hash: '', config_hash: 'all' });
    const clear = async (headers: Record<string, string>) =>
      (await wireRequest(ANYBODY, { port, path: '/prpc/Admin.ClearImageCache?json', body, headers })).status;
    expect(await clear({})).toBe(400);
    expect(await clear({ authorization: 'Bearer another administrator token' })).toBe(400);
    const folder = join(stack.dir, 'kms', 'image-cache', 'measurements');
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, `${'ab'.repeat(32)}.json`), '{}');
    expect(await readdir(folder)).toHaveLength(1);
    expect(await clear({ authorization: `Bearer ${ADMIN_TOKEN}` })).toBe(200);
    expect(await readdir(folder)).toEqual([]);
    expect(await clear({ 'x-admin-token': ADMIN_TOKEN })).toBe(200);
  });

  it('refuses a body over 10 MiB, and knows health, metrics and nothing else', async () => {
    const headers = { 'content-length': String(10 * 1024 * 1024 + 1) };
    const big = await wireRequest(ANYBODY, { port, path: '/prpc/SignCert?json', body: '{', headers });
    expect({ status: big.status, json: JSON.parse(big.body.toString()) }).toEqual({
      status: 400,
      json: { error: expect.stringMatching(/payload too large/) },
    });
    const get = async (path: string) => {
      const { status, body: text } = await wireRequest(ANYBODY, { port, path, method: 'GET' });
      return { status, text: text.toString() };
    };
    expect(await get('/health')).toEqual({ status: 200, text: 'OK' });
    expect((await get('/metrics')).text).toMatch(/^dstack_kms_attestation_failures_total [1-9]\d*$/m);
    expect((await get('/')).status).toBe(404);
    expect((await get('/prpc/KMS.Nothing')).text).toMatch(/Service not found/);
  });
});

describe('while the log cannot be proven or the policy not be asked', () => {
  it('releases nothing without the auditor', async () => {
    const client = await (await bootedGuest()).client(tempCaKey, caCert);
    await stack.stopAuditor();
    const { status, json } = await wireCall(client, port, 'GetAppKey', { api_version: 1, vm_config: '' });
    expect({ status, keys: Object.keys(json) }).toEqual({ status: 400, keys: ['error'] });
    stack.startAuditor();
    expect((await wireCall(client, port, 'GetAppKey', { api_version: 1, vm_config: '' })).status).toBe(200);
  });

  it('decides nothing without the chain', async () => {
    const client = await (await bootedGuest()).client(tempCaKey, caCert);
    await stack.stopChain();
    const before = (await events()).length;
    const { status, json } = await wireCall(client, port, 'GetAppKey', { api_version: 1, vm_config: '' });
    expect({ status, keys: Object.keys(json) }).toEqual({ status: 400, keys: ['error'] });
    expect((await events()).length).toBe(before);
    await stack.restartChain();
  });
});
