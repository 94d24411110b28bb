import { execFile } from 'node:child_process';
import { createPublicKey, generateKeyPairSync, type KeyObject, verify as verifySignature } from 'node:crypto';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import {
  CollateralClient,
  mintCertificate,
  parseQuote,
  prepareIssuer,
  ratlsReportData,
  trustAnchorFromPem,
} from '@vouch/attestation';
import { SIMULATED_GUEST, type SimulatedEvidence, SimulatedPlatform } from '@vouch/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const bin = resolve(import.meta.dirname, '../../bin/vouch.mjs');

let folder: string;
let platform: SimulatedPlatform;
let evidence: SimulatedEvidence;
const servers: Server[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'vouch-verify-'));
  platform = await SimulatedPlatform.start();
  evidence = await platform.evidence(new Uint8Array(64).fill(7));
});

afterAll(async () => {
  for (const server of servers) server.close();
  await platform?.stop();
  rmSync(folder, { recursive: true, force: true });
});

interface Result {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function vouch(args: readonly string[], input = ''): Promise<Result> {
  return new Promise((done) => {
    const env = { ...process.env, VOUCH_DATA: join(folder, 'none'), XDG_CACHE_HOME: join(folder, 'cache') };
    const child = execFile(process.execPath, [bin, 'verify', ...args], { env }, (error, out, err) => {
      done({ code: error === null ? 0 : Number(error.code), out, err });
    });
    child.stdin?.end(input);
  });
}

/** Against the simulator, with its root. */
const simulated = (...args: readonly string[]): Promise<Result> =>
  vouch([...args, '--pccs', platform.pccs, '--unsafe-trust-anchor', platform.rootFile]);

function file(name: string, content: string | Uint8Array, mode = 0o600): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
}

const pem = (key: KeyObject): string => key.export({ format: 'pem', type: 'pkcs8' }).toString();

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

function request(changes: Readonly<Record<string, unknown>> = {}): string {
  const { quote, eventLog, vmConfig } = evidence;
  return JSON.stringify({ quote: hex(quote), event_log: eventLog, vm_config: vmConfig, ...changes });
}

function flipped(at: number): Uint8Array {
  const copy = Uint8Array.from(evidence.quote);
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}

async function serve(body: string | Uint8Array, status = 200): Promise<string> {
  const server = createServer((_request, response) => response.writeHead(status).end(body));
  servers.push(server);
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('vouch verify <file>', () => {
  it('prints every check with its outcome, and the verdict', async () => {
    const { code, out, err } = await simulated(file('request.json', request()));
    expect(err).toMatch(/weakened by: unsafeProcessGuestAccepted, unsafeTrustAnchorAccepted/);
    expect(code).toBe(0);
    for (const line of [
      /^pass {4}evidence\.format +quote and event log$/m,
      /^pass {4}quote\.signature +\S/m,
      /^pass {4}event-log\.rtmr3 +\S/m,
      /^pass {4}os-image\.measurement +\S/m,
      /^skipped policy\.app-id +the policy does not ask for it$/m,
      /^verdict {2}accepted$/m,
    ]) {
      expect(out).toMatch(line);
    }
    expect(out).not.toMatch(/^fail/m);
  });

  it('takes every form, from standard input too, and keeps collateral for the next time', async () => {
    const { quote, eventLog, vmConfig } = evidence;
    const ours = JSON.stringify({ quote: Buffer.from(quote).toString('base64'), eventLog, vmConfig });
    const forms = [file('quote.bin', quote), file('quote.hex', hex(quote)), file('ours.json', ours)];
    for (const form of forms) expect((await simulated(form)).code).toBe(0);
    const piped = await vouch(['-', '--pccs', platform.pccs, '--unsafe-trust-anchor', platform.rootFile], request());
    expect(piped.code).toBe(0);
    expect(readdirSync(join(folder, 'cache/vouch/collateral'))).toHaveLength(1);
    const cached = await vouch([
      forms[0] ?? '',
      '--pccs',
      'http://127.0.0.1:1',
      '--unsafe-trust-anchor',
      platform.rootFile,
    ]);
    expect(cached.code).toBe(0);
    const uncached = await vouch([
      ...[forms[0] ?? '', '--pccs', 'http://127.0.0.1:1', '--unsafe-trust-anchor', platform.rootFile],
      '--no-cache',
    ]);
    expect(uncached).toMatchObject({ code: 3 });
    expect(uncached.err).toMatch(/127\.0\.0\.1:1: UNREACHABLE/);
  });

  it.each<[string, () => string | Uint8Array, RegExp]>([
    ['changed-quote.bin', () => flipped(600), /^fail {4}quote\.signature/m],
    ['cut-quote.bin', () => evidence.quote.subarray(0, 900), /^fail {4}quote\.format/m],
    [
      'changed-log.json',
      () => request({ event_log: evidence.eventLog.replaceAll('1111', '1112') }),
      /^fail {4}event-log\.rtmr3/m,
    ],
    [
      'changed-machine.json',
      () => request({ vm_config: evidence.vmConfig.replace('"cpu_count":1', '"cpu_count":2') }),
      /^fail {4}os-image\.measurement/m,
    ],
    ['words.json', () => '{"hello":"world"}', /^fail {4}evidence\.format/m],
  ])('%s is bad evidence: 2', async (name, content, line) => {
    const { code, out } = await simulated(file(name, content()));
    expect(out).toMatch(line);
    expect(code).toBe(2);
  });

  it('is denied by the strict policy when nothing is weakened: collateral of another root is none', async () => {
    const { code, err } = await vouch([file('request.json', request()), '--pccs', platform.pccs, '--no-cache']);
    expect(code).toBe(3);
    expect(err).toMatch(/NOT_AUTHENTIC/);
  });

  it.each<[string, Readonly<Record<string, unknown>>, number]>([
    ['the right app', { appIds: [SIMULATED_GUEST.appId] }, 0],
    ['another app', { appIds: ['00'.repeat(20)] }, 5],
    ['another compose hash', { composeHashes: ['00'.repeat(32)] }, 5],
    ['the report data', { reportData: '07'.repeat(64) }, 0],
    ['other report data', { reportData: '08'.repeat(64) }, 5],
    ['newer evaluation data than there is', { minTcbEvaluationDataNumber: 9999 }, 5],
  ])('a policy that asks for %s', async (name, policy, expected) => {
    const path = file(`${name.replaceAll(' ', '-')}.policy.json`, JSON.stringify(policy));
    const { code, out } = await simulated(file('request.json', request()), '--policy', path);
    expect(code).toBe(expected);
    expect(out).toMatch(expected === 0 ? /verdict {2}accepted/ : /verdict {2}denied: policy\./);
  });

  it('works offline from a bundle, at a time of choice', async () => {
    const parsed = parseQuote(evidence.quote);
    if (!parsed.ok) throw new Error(parsed.failed.detail);
    const anchor = trustAnchorFromPem(await platform.rootPem());
    const options = { endpoints: [{ url: platform.pccs }], trustAnchors: [anchor], now: () => new Date() };
    const collateral = await new CollateralClient(options).collateralFor(parsed.quote);
    const bundle = file('bundle.json', JSON.stringify({ version: 1, collateral: [collateral] }));
    const offline = [
      file('request.json', request()),
      '--collateral',
      bundle,
      '--unsafe-trust-anchor',
      platform.rootFile,
    ];
    expect((await vouch(offline)).code).toBe(0);
    for (const at of ['2000-01-01T00:00:00Z', '4102444800']) {
      const { code, out } = await vouch([...offline, '--at', at]);
      expect(code).toBe(2);
      expect(out).toMatch(/^fail {4}collateral\.window/m);
    }
    const elsewhere = file('elsewhere.json', JSON.stringify({ version: 1, collateral: [] }));
    const missing = await vouch([
      offline[0] ?? '',
      '--collateral',
      elsewhere,
      '--unsafe-trust-anchor',
      platform.rootFile,
    ]);
    expect(missing.code).toBe(3);
    expect(missing.err).toMatch(/NOT_IN_BUNDLE/);
  });

  it('-o json says everything as data', async () => {
    const path = file('request.json', request());
    const good = await simulated(path, '-o', 'json');
    expect(JSON.parse(good.out)).toMatchObject({
      file: path,
      ok: true,
      verdict: 'accepted',
      code: null,
      facts: { appId: SIMULATED_GUEST.appId, tcbStatus: 'UpToDate', keyProvider: { name: 'kms' } },
      checks: expect.arrayContaining([expect.objectContaining({ name: 'quote.signature', outcome: 'pass' })]),
    });
    const bad = await simulated(file('bad.bin', flipped(600)), '-o', 'json');
    expect(bad.code).toBe(2);
    expect(JSON.parse(bad.out)).toMatchObject({
      ok: false,
      verdict: 'refused',
      code: expect.stringMatching(/^[A-Z_]+$/),
    });
  });
});

describe('vouch verify -o ear', () => {
  it.each(['P-256', 'Ed25519'])('is a JWT signed by the %s key given', async (kind) => {
    const { privateKey } =
      kind === 'P-256' ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : generateKeyPairSync('ed25519');
    const key = file(`${kind}.pem`, pem(privateKey));
    const args = [file('request.json', request()), '-o', 'ear', '--ear-key', key, '--nonce', '0102030405060708'];
    const { code, out } = await simulated(...args);
    expect(code).toBe(0);
    const [header = '', claims = '', signature = ''] = out.trim().split('.');
    const input = Buffer.from(`${header}.${claims}`);
    const publicKey = createPublicKey(readFileSync(key));
    const bytes = Buffer.from(signature, 'base64url');
    expect(
      kind === 'P-256'
        ? verifySignature('sha256', input, { key: publicKey, dsaEncoding: 'ieee-p1363' }, bytes)
        : verifySignature(null, input, publicKey, bytes),
    ).toBe(true);
    expect(JSON.parse(Buffer.from(claims, 'base64url').toString())).toMatchObject({
      eat_profile: 'tag:ietf.org,2026:rats/ear#04',
      eat_nonce: 'AQIDBAUGBwg',
      submods: { tdx: { ear_status: 'warning', ear_attester_claims: { app_id: SIMULATED_GUEST.appId } } },
    });
  });

  it('says contraindicated for bad evidence, still signed, with exit code 2', async () => {
    const key = file('ear.pem', pem(generateKeyPairSync('ed25519').privateKey));
    const { code, out } = await simulated(file('bad.bin', flipped(600)), '-o', 'ear', '--ear-key', key);
    expect(code).toBe(2);
    const claims = JSON.parse(Buffer.from(out.split('.')[1] ?? '', 'base64url').toString()) as { ear_status: string };
    expect(claims.ear_status).toBe('contraindicated');
  });

  it('is never unsigned, nor signed with a key that others can read or that cannot sign', async () => {
    const path = file('request.json', request());
    expect(await simulated(path, '-o', 'ear')).toMatchObject({
      code: 1,
      out: '',
      err: expect.stringMatching(/never unsigned/),
    });
    const open = file('open.pem', pem(generateKeyPairSync('ed25519').privateKey), 0o644);
    expect((await simulated(path, '-o', 'ear', '--ear-key', open)).err).toMatch(/can be read by others/);
    const p384 = file('p384.pem', pem(generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey));
    expect(await simulated(path, '-o', 'ear', '--ear-key', p384)).toMatchObject({
      code: 1,
      err: expect.stringMatching(/P-256/),
    });
  });
});

describe('vouch verify <url>', () => {
  it('takes an evidence document, and says that it does not bind the connection', async () => {
    const { code, out } = await simulated(`${await serve(request())}/evidence`);
    expect(out).toMatch(/^skipped connection\.binding/m);
    expect(code).toBe(0);
  });

  it.each<[string, string, number, number]>([
    ['no evidence', '{"hello":1}', 200, 2],
    ['a web page', '<html></html>', 200, 2],
    ['an error', 'broken', 500, 3],
  ])('that answers %s', async (_what, body, status, expected) => {
    expect((await simulated(`${await serve(body, status)}/evidence`)).code).toBe(expected);
  });

  it('takes the RA-TLS certificate of a live app, bound to the connection, and refuses it under another key', async () => {
    const [app, other] = [
      generateKeyPairSync('ec', { namedCurve: 'P-256' }),
      generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    ];
    const spki = (key: KeyObject): Uint8Array => key.export({ format: 'der', type: 'spki' });
    const { quote, eventLog } = await platform.evidence(ratlsReportData(spki(app.publicKey)));
    const listen = async ({ privateKey, publicKey }: typeof app): Promise<string> => {
      const name = { commonName: 'app.example' };
      const issuer = prepareIssuer({ name, publicKey: spki(publicKey), privateKey });
      const der = mintCertificate(issuer, {
        subject: name,
        publicKey: spki(publicKey),
        notBefore: new Date(Date.now() - 60_000),
        notAfter: new Date(Date.now() + 3_600_000),
        ratls: { quote, eventLog },
      });
      // Not by way of X509Certificate: Node looks for PEM first, and finds the PCK chain inside the quote.
      const base64 = Buffer.from(der).toString('base64').replace(/.{64}/g, '$&\n');
      const cert = `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`;
      const server = createSecureServer({ key: pem(privateKey), cert }, (_request, response) => response.end('hello'));
      servers.push(server);
      await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
      return `https://localhost:${(server.address() as AddressInfo).port}`;
    };
    const good = await simulated(await listen(app));
    expect(good.out).toMatch(/^pass {4}connection\.binding/m);
    expect(good.out).toMatch(/^pass {4}ratls\.key-binding/m);
    expect(good.out).toMatch(/^pass {4}event-log\.identity/m);
    expect(good.code).toBe(0);
    // A host that copies the evidence into a certificate of its own does not have the key.
    const copied = await simulated(await listen(other));
    expect(copied.out).toMatch(/^fail {4}ratls\.key-binding/m);
    expect(copied.code).toBe(2);
  });

  it('that does not answer is a network failure; without a path and a certificate there is no evidence', async () => {
    expect((await simulated('http://127.0.0.1:1/evidence')).code).toBe(3);
    expect((await simulated('https://127.0.0.1:1')).code).toBe(3);
    expect(await simulated(await serve(request()))).toMatchObject({ code: 2, err: expect.stringMatching(/RA-TLS/) });
  });
});

describe('misuse of vouch verify', () => {
  it.each<[string, readonly string[], RegExp]>([
    ['no target', [], /argument/],
    ['a missing file', ['./nothing.json'], /no file/],
    ['an unknown form', ['-', '-o', 'xml'], /table, json, ear/],
    ['a bad time', ['-', '--at', 'tomorrow'], /no time/],
    ['a bad nonce', ['-', '--nonce', 'zz'], /8 to 64/],
    ['a missing policy', ['-', '--policy', 'nothing.json'], /--policy/],
    ['a bad endpoint', ['-', '--pccs', 'http://pccs.example'], /unsafe-plain-http/],
    ['a bad anchor', ['-', '--unsafe-trust-anchor', bin], /--unsafe-trust-anchor/],
    ['a bad image URL', ['-', '--image-url', 'https://images.example'], /--image-url/],
    ['a bad bundle', ['-', '--collateral', bin], /--collateral/],
    ['a fleet name without a fleet', ['hello'], /no fleet is known/],
    ['file options with a fleet name', ['hello', '--at', '0'], /goes with a URL or file/],
  ])('%s is exit code 1', async (_what, args, reason) => {
    const { code, err, out } = await vouch(args);
    expect(err).toMatch(reason);
    expect(code).toBe(1);
    expect(out).toBe('');
  });

  it('a policy with an unknown field is refused: a typing error must not weaken it', async () => {
    const policy = file('typo.json', '{"appid":["00"]}');
    expect(await vouch(['-', '--policy', policy])).toMatchObject({
      code: 1,
      err: expect.stringMatching(/unknown field/),
    });
  });
});
