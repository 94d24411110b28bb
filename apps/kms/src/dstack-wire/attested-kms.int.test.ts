import { createPublicKey } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { eventLogJson, ratlsReportData, writeAttestation } from '@vouch/attestation';
import { k256PublicKey } from '@vouch/keys';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { epochCommand } from '../epoch-command.js';
import type { ChildService } from '../testing/child-service.js';
import { DstackGuest, type WireClient, wireCall, wireRequest } from '../testing/dstack-guest.js';
import { KmsStack, OS_IMAGE } from '../testing/kms-stack.js';
import { SimulatedGuest } from '../testing/simulated-guest.js';
import { presentedByCertificate } from './guest/presented-evidence.js';

const ANYBODY: WireClient = { ca: null };
const IDENTITY = { appId: 'ab'.repeat(20), instanceId: '5e'.repeat(20), composeHash: 'c0'.repeat(32) };
let stack: KmsStack;
let kms: ChildService;
let agent: Server;
let guest: DstackGuest;
let port: number;
let policyFile: string;

/** A KMS in a (simulated) CVM of its own, under a policy in a file. */
beforeAll(async () => {
  stack = await KmsStack.start();
  stack.startAuditor();
  guest = new DstackGuest(await SimulatedGuest.boot(stack.simulatorDir, OS_IMAGE, IDENTITY));
  const socket = join(stack.dir, 'agent.sock');
  agent = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', async () => {
      const { report_data } = JSON.parse(Buffer.concat(chunks).toString()) as { report_data: string };
      const attestation = await guest.attestationOver(new Uint8Array(Buffer.from(report_data, 'hex')));
      response.end(JSON.stringify({ attestation: Buffer.from(writeAttestation(attestation)).toString('hex') }));
    });
  });
  await new Promise<void>((resolve) => agent.listen(socket, resolve));
  policyFile = join(stack.dir, 'policy.json');
  await writeFile(policyFile, JSON.stringify({ gatewayAppId: 'any', osImages: [OS_IMAGE] }));
  kms = stack.kms({
    ...{ KMS_RPC_LISTEN: '127.0.0.1:0', KMS_GUEST_AGENT_SOCKET: socket, VOUCH_UNSAFE_ROOT_KEY_RELEASE: 'true' },
    ...{ KMS_POLICY: 'file', KMS_POLICY_FILE: policyFile },
  });
  port = Number((await kms.line(({ msg }) => msg === 'the dstack wire listens')).port);
});
afterAll(async () => {
  await kms.end('SIGKILL');
  agent.close();
  await stack.stop();
});
afterEach(() => {
  expect(kms.lines.filter(({ level }) => level === 'error' || level === 60)).toEqual([]);
});

async function peer(): Promise<WireClient> {
  const { json } = await wireCall(ANYBODY, port, 'GetTempCaCert');
  return await guest.client(String(json.temp_ca_key), String(json.ca_cert));
}

describe('a KMS with a guest agent', () => {
  it('shows a certificate whose key its own evidence binds', async () => {
    const { serverCertificate } = await wireRequest(ANYBODY, { port, path: '/health', method: 'GET' });
    const presented = presentedByCertificate(serverCertificate);
    if (presented.kind !== 'evidence') throw new Error(`expected evidence, not ${presented.kind}`);
    const { attestation, boundKey } = presented.evidence;
    expect(Buffer.from(attestation.stack.reportData)).toEqual(Buffer.from(ratlsReportData(boundKey)));
    expect(eventLogJson(attestation.platform.kind === 'tdx' ? attestation.platform.eventLog : [])).toContain(
      'compose-hash',
    );
  });

  it('tells what must be allowed for it', async () => {
    const { status, json } = await wireCall(ANYBODY, port, 'Onboard.GetAttestationInfo', {});
    expect({ status, error: json.error }).toEqual({ status: 200, error: undefined });
    expect(json).toMatchObject({ os_image_hash: OS_IMAGE, tee_variant: 'dstack-tdx', site_name: '' });
    expect([String(json.device_id).length, String(json.mr_aggregated).length]).toEqual([64, 64]);
    expect(String(json.ppid)).toMatch(/^[0-9a-f]{32}$/);
  });
});

describe('root keys for another key server', () => {
  it('leave only with the word of the policy, and the log says so', async () => {
    const refused = await wireCall(await peer(), port, 'GetKmsKey', { vm_config: '' });
    expect(refused).toMatchObject({ status: 400, json: { error: expect.stringMatching(/^Boot denied: /) } });
    const { json: info } = await wireCall(ANYBODY, port, 'GetAttestationInfo', {});
    const allowed = { mrAggregated: [info.mr_aggregated], allowAnyDevice: true };
    await writeFile(policyFile, JSON.stringify({ gatewayAppId: 'any', osImages: [OS_IMAGE], kms: allowed }));
    const { status, json } = await wireCall(await peer(), port, 'GetKmsKey', { vm_config: '' });
    expect({ status, error: json.error }).toEqual({ status: 200, error: undefined });
    const [keys] = json.keys as { ca_key: string; k256_key: string }[];
    const spki = createPublicKey(keys?.ca_key ?? '').export({ format: 'der', type: 'spki' });
    expect(spki.toString('hex')).toBe(stack.statement?.rootCaSpki);
    const k256 = k256PublicKey(Buffer.from(keys?.k256_key ?? '', 'hex'));
    expect(Buffer.from(k256).toString('hex')).toBe(stack.statement?.k256Pub);
    expect(json.temp_ca_key).toBe((await wireCall(ANYBODY, port, 'GetTempCaCert')).json.temp_ca_key);
    const events = (await stack.store.readSubject(`evt.dstack.${IDENTITY.appId}`)).map(({ envelope }) => envelope);
    expect(events).toMatchObject([
      { type: 'dstack.release-refused', data: { method: 'GetKmsKey', failedCheck: 'policy.app' } },
      { type: 'dstack.root-keys-released', data: { policy: { source: 'file' }, keyEpoch: 0 } },
    ]);
    expect(events[1]?.data).toMatchObject({ unsafe: expect.arrayContaining(['unsafeRootKeyRelease']) });
    expect(JSON.stringify(events)).not.toContain(keys?.k256_key);
  });
});

describe('a root that is tainted', () => {
  it('releases and signs nothing any more', async () => {
    await epochCommand(['taint', '0', '--reason', 'a suspected leak'], stack.environment(), new Date());
    const appKey = await wireCall(await peer(), port, 'GetAppKey', { api_version: 1, vm_config: '' });
    expect(appKey).toMatchObject({ status: 400, json: { error: 'key epoch 0 is tainted: a suspected leak' } });
    const rootKeys = await wireCall(await peer(), port, 'GetKmsKey', { vm_config: '' });
    expect(rootKeys).toMatchObject({ status: 400, json: { error: expect.stringMatching(/tainted/) } });
    const envKey = await wireCall(ANYBODY, port, 'GetAppEnvEncryptPubKey', { app_id: IDENTITY.appId });
    expect(envKey).toMatchObject({ status: 400, json: { error: expect.stringMatching(/tainted/) } });
  });
});
