import { createHash, X509Certificate } from 'node:crypto';
import { access, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Collateral, getCollateral, QuoteVerifier } from '@phala/dcap-qvl';
import { processMeasurements, processVmConfigText } from '@vouch/attestation';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TD_REPORT } from './quote/layout.js';
import { askSocket, askSocketRaw, SimulatorProcess } from './testing/simulator-process.js';

const instanceId = 'ab'.repeat(20);
const machine = { osImageHash: 'cd'.repeat(32), vcpu: 2, memoryMiB: 2048 };
const mrConfigId = `01${'5a'.repeat(32)}${'00'.repeat(15)}`;
const reportData = Buffer.from('a challenge of our own'.padEnd(64, '.')).toString('hex');
const digest = createHash('sha384').update('app-id').digest('hex');

let simulator: SimulatorProcess;
let other: SimulatorProcess;

function definition(of: SimulatorProcess, name = 'tsm.sock') {
  return { socketPath: join(of.dataDir, name), vmConfig: processVmConfigText(machine), mrConfigId };
}

async function quoteOf(of: SimulatorProcess): Promise<Uint8Array> {
  const { body } = await askSocket(definition(of).socketPath, 'POST', '/quote', { reportData });
  return Buffer.from((body as { quote: string }).quote, 'base64');
}

function verifier(rootPem: string): QuoteVerifier {
  return QuoteVerifier.newWithRootCa(new X509Certificate(rootPem).raw);
}

function nowSeconds(): number {
  return Math.floor(Date.now() / 1000);
}

beforeAll(async () => {
  [simulator, other] = await Promise.all([SimulatorProcess.start(), SimulatorProcess.start()]);
  for (const each of [simulator, other]) {
    expect((await each.admin('PUT', `/tds/${instanceId}`, definition(each))).status).toBe(200);
  }
});

afterAll(async () => {
  await simulator.dispose();
  await other.dispose();
});

describe('a quote under an independent verifier (@phala/dcap-qvl)', () => {
  let collateral: Collateral;
  let quote: Uint8Array;

  beforeAll(async () => {
    quote = await quoteOf(simulator);
    collateral = await getCollateral(simulator.pccs, quote);
  });

  it('is accepted with the simulator root as the anchor, and shows the TD', async () => {
    const report = verifier(await simulator.rootCaPem()).verify(quote, collateral, nowSeconds());
    expect(report.status).toBe('UpToDate');
    const td = report.report.asTd10();
    const expected = processMeasurements(machine);
    expect(td?.mrTd).toEqual(expected.mrTd);
    expect(td?.rtMr0).toEqual(expected.rtMr0);
    expect(td?.rtMr1).toEqual(expected.rtMr1);
    expect(td?.rtMr2).toEqual(expected.rtMr2);
    expect(Buffer.from(td?.mrConfigId ?? []).toString('hex')).toBe(mrConfigId);
    expect(Buffer.from(td?.reportData ?? []).toString('hex')).toBe(reportData);
  });

  it('is refused with the root of another simulator, of the same names', async () => {
    const foreign = verifier(await other.rootCaPem());
    expect(() => foreign.verify(quote, collateral, nowSeconds())).toThrow(/chain/);
  });

  it.each([
    ['the header', 30],
    ['RTMR3', 48 + TD_REPORT.rtMr3],
    ['report data', 48 + TD_REPORT.reportData],
    ['the quote signature', 640],
    ['the attestation key', 705],
    ['the QE report', 770 + 64],
    ['the QE report signature', 1160],
  ])('is refused when one byte of %s is flipped', async (_name, offset) => {
    const forged = Buffer.from(quote);
    forged.writeUInt8(forged.readUInt8(offset) ^ 1, offset);
    const anchored = verifier(await simulator.rootCaPem());
    expect(() => anchored.verify(forged, collateral, nowSeconds())).toThrow();
  });

  it('is refused with edited TCB info', async () => {
    const edited = { ...collateral, tcb_info: collateral.tcb_info.replace('"OutOfDate"', '"UpToDate"') };
    const anchored = verifier(await simulator.rootCaPem());
    expect(() => anchored.verify(quote, edited, nowSeconds())).toThrow(/tcb_info/);
  });
});

describe('registers', () => {
  it('survive kill -9, and so do the root, the collateral and the TD', async () => {
    const before = await quoteOf(simulator);
    const rootBefore = await simulator.rootCaPem();
    const tcbUrl = '/tdx/certification/v4/tcb?fmspc=51554f544553';
    const tcbBefore = await (await fetch(simulator.pccs + tcbUrl)).text();
    const { socketPath } = definition(simulator);
    const extended = await askSocket(socketPath, 'POST', '/extend', { rtmr: 3, digest });
    expect(extended.status).toBe(200);
    const expected = createHash('sha384').update(Buffer.alloc(48)).update(Buffer.from(digest, 'hex')).digest('hex');
    expect(extended.body).toEqual({ rtMr3: expected });

    expect(await simulator.end('SIGKILL')).toBeNull();
    await simulator.start();

    expect((await askSocket(socketPath, 'GET', '/rtmrs')).body).toMatchObject({ rtMr3: expected });
    expect(await simulator.rootCaPem()).toBe(rootBefore);
    expect(await (await fetch(simulator.pccs + tcbUrl)).text()).toBe(tcbBefore);
    const after = await quoteOf(simulator);
    const rtMr3 = 48 + TD_REPORT.rtMr3;
    expect(Buffer.from(after.subarray(rtMr3, rtMr3 + 48)).toString('hex')).toBe(expected);
    // The attestation key and the whole QE block are the same as before.
    expect(Buffer.from(after.subarray(700)).equals(Buffer.from(before.subarray(700)))).toBe(true);
  });

  it('are kept by a repeated PUT, and start anew only with a new launchId', async () => {
    const again = await simulator.admin('PUT', `/tds/${instanceId}`, definition(simulator));
    expect(again.status).toBe(200);
    expect(again.body).not.toMatchObject({ rtMr3: '00'.repeat(48) });
    const other = { ...definition(simulator), mrConfigId: '00'.repeat(48) };
    expect(await simulator.admin('PUT', `/tds/${instanceId}`, other)).toMatchObject({
      status: 409,
      body: { error: { code: 'td-differs' } },
    });
    const relaunched = { ...definition(simulator), launchId: 'second' };
    expect(await simulator.admin('PUT', `/tds/${instanceId}`, relaunched)).toMatchObject({
      status: 200,
      body: { rtMr3: '00'.repeat(48) },
    });
  });

  it('extend one after another when asked at once', async () => {
    const { socketPath } = definition(simulator);
    const digests = Array.from({ length: 20 }, (_, index) => createHash('sha384').update(`${index}`).digest('hex'));
    const answers = await Promise.all(
      digests.map((each) => askSocket(socketPath, 'POST', '/extend', { rtmr: 3, digest: each })),
    );
    expect(new Set(answers.map(({ body }) => (body as { rtMr3: string }).rtMr3)).size).toBeGreaterThan(1);
    // Whatever the order was, it was some order: every digest is in the final value exactly once.
    const { body } = await askSocket(socketPath, 'GET', '/rtmrs');
    const stored = JSON.parse(await readFile(join(simulator.dataDir, 'tds', `${instanceId}.json`), 'utf8'));
    expect(stored.rtMr3).toBe((body as { rtMr3: string }).rtMr3);
  });

  it('start from the boot log the guest is shown', async () => {
    const { body } = await askSocket(definition(simulator).socketPath, 'GET', '/boot-log');
    expect(body).toEqual(processMeasurements(machine).bootEvents);
  });
});

describe('refusals', () => {
  const path = `/tds/${'11'.repeat(20)}`;

  it.each([
    ['a relative socket', { socketPath: 'x.sock' }, 'body-invalid', /socketPath/],
    ['a long socket', { socketPath: `/${'x'.repeat(120)}` }, 'body-invalid', /107/],
    ['a missing folder', { socketPath: '/nonexistent-folder/x.sock' }, 'socket-folder-missing', /nonexistent/],
    ['a short config id', { mrConfigId: '00' }, 'body-invalid', /mrConfigId/],
    ['a foreign vm_config', { vmConfig: '{}' }, 'vm-config-invalid', /spec_version/],
    ['an unknown field', { debug: true }, 'body-invalid', /debug/],
  ])('names the field of %s', async (_name, change, code, message) => {
    const answer = await simulator.admin('PUT', path, { ...definition(simulator, 'new.sock'), ...change });
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(answer.body).toMatchObject({ error: { code, message: expect.stringMatching(message) } });
  });

  it('does not take the socket of another TD, or replace a file', async () => {
    expect(await simulator.admin('PUT', path, definition(simulator))).toMatchObject({
      status: 409,
      body: { error: { code: 'listener-taken' } },
    });
    await writeFile(join(simulator.dataDir, 'precious'), 'kept');
    expect(await simulator.admin('PUT', path, definition(simulator, 'precious'))).toMatchObject({
      status: 409,
      body: { error: { code: 'not-a-socket' } },
    });
    expect(await readFile(join(simulator.dataDir, 'precious'), 'utf8')).toBe('kept');
    expect((await simulator.admin('GET', path)).status).toBe(404);
  });

  it.each([
    ['an id', 'PUT', '/tds/XY', 400, 'instance-id-invalid'],
    ['a path', 'GET', '/elsewhere', 404, 'not-found'],
    ['a method', 'POST', `/tds/${'22'.repeat(20)}`, 405, 'method-not-allowed'],
  ])('says which of %s was wrong', async (_name, method, where, status, code) => {
    expect(await simulator.admin(method, where)).toMatchObject({ status, body: { error: { code } } });
  });

  it.each([
    ['another RTMR', '/extend', { rtmr: 2, digest }, /only RTMR 3/],
    ['a short digest', '/extend', { rtmr: 3, digest: '00' }, /digest/],
    ['short report data', '/quote', { reportData: '00' }, /reportData/],
    ['upper-case hex', '/quote', { reportData: 'AB'.repeat(64) }, /reportData/],
  ])('guest channel refuses %s', async (_name, where, body, message) => {
    const answer = await askSocket(definition(simulator).socketPath, 'POST', where, body);
    expect(answer.status).toBe(400);
    expect(answer.body).toMatchObject({ error: { message: expect.stringMatching(message) } });
  });

  it('refuses broken and huge bodies', async () => {
    const { socketPath } = definition(simulator);
    expect(await askSocketRaw(socketPath, 'POST', '/quote', '{')).toMatchObject({
      status: 400,
      body: { error: { code: 'body-not-json' } },
    });
    expect(await askSocketRaw(socketPath, 'POST', '/quote', `"${'x'.repeat(70_000)}"`)).toMatchObject({
      status: 413,
      body: { error: { code: 'body-too-large' } },
    });
  });

  it.each([
    ['/tdx/certification/v4/tcb', 400],
    ['/tdx/certification/v4/tcb?fmspc=00906ed50000', 404],
    ['/tdx/certification/v4/tcb?fmspc=51554f544553&update=late', 400],
    ['/tdx/certification/v4/qe/identity?tcbEvaluationDataNumber=1', 404],
    ['/sgx/certification/v4/pckcrl?ca=root', 400],
    ['/tdx/certification/v4/tcb?fmspc=51554F544553&update=early', 200],
    ['/sgx/certification/v4/pckcrl?ca=processor&encoding=der', 200],
    ['/sgx/certification/v4/tcb?fmspc=51554f544553', 200],
    ['/sgx/certification/v4/qe/identity', 200],
    ['/healthz', 200],
  ])('PCCS answers %s with %d', async (where, status) => {
    expect((await fetch(simulator.pccs + where)).status).toBe(status);
  });
});

describe('the process', () => {
  it('keeps keys and sockets to its user', async () => {
    const mode = async (name: string) => (await stat(join(simulator.dataDir, name))).mode & 0o777;
    for (const name of ['pki.json', 'admin.sock', 'tsm.sock', 'root-ca.pem', `tds/${instanceId}.json`]) {
      expect([name, await mode(name)]).toEqual([name, 0o600]);
    }
  });

  it('refuses to start beside a living one, and leaves it working', async () => {
    await expect(new SimulatorProcess(simulator.dataDir).start()).rejects.toThrow(/before it was ready/);
    expect((await simulator.admin('GET', `/tds/${instanceId}`)).status).toBe(200);
  });

  it('removes a TD with its socket and state', async () => {
    expect((await other.admin('DELETE', `/tds/${instanceId}`)).body).toEqual({ removed: true });
    expect((await other.admin('DELETE', `/tds/${instanceId}`)).body).toEqual({ removed: false });
    await expect(access(definition(other).socketPath)).rejects.toThrow();
    expect(await readdir(join(other.dataDir, 'tds'))).toEqual([]);
  });

  it('ends cleanly on SIGTERM and removes its sockets; a relaunch resets nothing', async () => {
    const { body } = await askSocket(definition(simulator).socketPath, 'GET', '/rtmrs');
    expect(await simulator.end('SIGTERM')).toBe(0);
    await expect(access(simulator.adminSocket)).rejects.toThrow();
    await expect(access(definition(simulator).socketPath)).rejects.toThrow();
    await simulator.start();
    expect((await askSocket(definition(simulator).socketPath, 'GET', '/rtmrs')).body).toEqual(body);
  });

  it('comes up when a guest folder is gone, and opens the channel again on the next PUT', async () => {
    const folder = join(other.dataDir, 'guest');
    await mkdir(folder);
    const moved = { ...definition(other), socketPath: join(folder, 'tsm.sock') };
    expect((await other.admin('PUT', `/tds/${instanceId}`, moved)).status).toBe(200);
    await other.end('SIGKILL');
    await rm(folder, { recursive: true });
    await other.start();
    expect((await other.admin('GET', `/tds/${instanceId}`)).status).toBe(200);
    await mkdir(folder);
    expect((await other.admin('PUT', `/tds/${instanceId}`, moved)).status).toBe(200);
    expect((await askSocket(moved.socketPath, 'GET', '/rtmrs')).status).toBe(200);
  });
});
