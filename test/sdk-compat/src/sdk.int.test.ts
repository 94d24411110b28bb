import { createPrivateKey, verify, X509Certificate } from 'node:crypto';
import { secp256k1 } from '@noble/curves/secp256k1';
import { keccak_256 } from '@noble/hashes/sha3';
import { DstackClient } from '@phala/dstack-sdk';
import { parseEventLog, parseQuote, replayRtmr } from '@vouch/attestation';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Guest, GuestStage } from './guest-stage.js';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

describe('@phala/dstack-sdk 0.5.8 against dstack.sock', () => {
  let stage: GuestStage;
  let guest: Guest;
  let client: DstackClient;

  beforeAll(async () => {
    stage = await GuestStage.open();
    guest = await stage.guest({
      compose: { manifest_version: 2, name: 'größe', runner: 'bash', bash_script: 'true' },
    });
    await guest.startHealthy();
    client = new DstackClient(guest.dstackSocket);
  });
  afterAll(async () => {
    await stage.close();
  });

  it('is reachable and tells its version', async () => {
    expect(await client.isReachable()).toBe(true);
    expect(await client.version()).toMatchObject({ version: '0.5.11', rev: 'vouch-0.1.0' });
  });

  it('answers info with ids, measurements and the exact app-compose', async () => {
    const info = await client.info();
    expect(info).toMatchObject({
      app_id: guest.appId,
      instance_id: guest.instanceId,
      app_name: 'größe',
      compose_hash: guest.composeHash,
      os_image_hash: stage.kms.osImageHash,
      device_id: stage.kms.deviceId,
      vm_config: guest.vmConfig,
      key_provider_info: JSON.stringify({ name: 'kms', id: hex(stage.kms.root.caSpki) }),
    });
    expect(info.tcb_info.app_compose).toBe(guest.composeText);
    const log = parseEventLog(JSON.stringify(info.tcb_info.event_log));
    if (!log.ok) throw new Error(log.failed.detail);
    expect(hex(replayRtmr(log.events, 3))).toBe(info.tcb_info.rtmr3);
    expect(hex(replayRtmr(log.events, 0))).toBe(info.tcb_info.rtmr0);
    expect(log.events.filter(({ imr }) => imr === 3).map(({ event }) => event)).toEqual([
      'system-preparing',
      'app-id',
      'compose-hash',
      'instance-id',
      'boot-mr-done',
      'os-image-hash',
      'key-provider',
      'system-ready',
    ]);
  });

  it('mints the demo certificate in the background', async () => {
    let certificate = '';
    for (let tried = 0; certificate === '' && tried < 200; tried += 1) certificate = (await client.info()).app_cert;
    expect(new X509Certificate(certificate).subject).toBe('CN=demo-cert');
  });

  it('gives keys whose chain leads to the KMS root, by the SDK’s own libraries', async () => {
    const { key, signature_chain: chain } = await client.getKey('wallet/eth', 'mainnet');
    const publicKey = secp256k1.getPublicKey(key, true);
    const recover = (message: Uint8Array, signature: Uint8Array): string =>
      secp256k1.Signature.fromCompact(signature.slice(0, 64))
        .addRecoveryBit(signature[64] ?? 9)
        .recoverPublicKey(keccak_256(message))
        .toHex(true);
    const [claim = new Uint8Array(), issued = new Uint8Array()] = chain;
    const appKey = recover(Buffer.from(`mainnet:${hex(publicKey)}`), claim);
    const statement = Buffer.concat([
      Buffer.from('dstack-kms-issued:'),
      Buffer.from(guest.appId, 'hex'),
      Buffer.from(appKey, 'hex'),
    ]);
    expect(recover(statement, issued)).toBe(hex(stage.kms.root.k256PublicKey));
    expect(recover(Buffer.from(`testnet:${hex(publicKey)}`), claim)).not.toBe(appKey);
    const again = await client.getKey('wallet/eth', 'other purpose');
    expect(hex(again.key)).toBe(hex(key));
    expect(hex((await client.getKey('/wallet/eth')).key)).not.toBe(hex(key));
    expect(hex((await client.getKey('wallet/eth', '', 'ed25519')).key)).toBe(hex(key));
  });

  it('quotes the report data it is given, padded on the right, with a stripped event log', async () => {
    const answer = await client.getQuote(Buffer.from('c0ffee', 'hex'));
    expect(answer.report_data).toBe(`c0ffee${'00'.repeat(61)}`);
    const parsed = parseQuote(Buffer.from(answer.quote, 'hex'));
    if (!parsed.ok || parsed.quote.report.kind === 'sgx') throw new Error('not a TDX quote');
    expect(hex(parsed.quote.report.reportData)).toBe(answer.report_data);
    const log = parseEventLog(answer.event_log);
    if (!log.ok) throw new Error(log.failed.detail);
    expect(hex(replayRtmr(log.events, 3))).toBe(hex(parsed.quote.report.rtMr3));
    for (const event of JSON.parse(answer.event_log) as { imr: number; digest: string; event_payload: string }[]) {
      expect(event.imr === 3 ? event.digest : event.event_payload).toBe('');
    }
    // The SDK's own replay takes digests as they are, so only the boot registers come out right (as on dstack 0.5.6+).
    expect(answer.replayRtmrs().slice(0, 3)).toEqual(
      [parsed.quote.report.rtMr0, parsed.quote.report.rtMr1, parsed.quote.report.rtMr2].map(hex),
    );
    await expect(client.getQuote(new Uint8Array(65))).rejects.toThrow();
  });

  it('attests in the SCALE form', async () => {
    const { attestation } = await client.attest('hi');
    const bytes = Buffer.from(attestation, 'hex');
    expect(bytes.subarray(0, 2).toString('hex')).toBe('0000');
    const reportData = Buffer.concat([Buffer.from('hi'), Buffer.alloc(62)]);
    expect(bytes.includes(reportData)).toBe(true);
    expect(bytes.subarray(-guest.vmConfig.length).toString()).toBe(guest.vmConfig);
  });

  it('gives TLS keys with a chain to the KMS root', async () => {
    const { key, certificate_chain: chain } = await client.getTlsKey({
      subject: 'hello',
      altNames: ['hello.example.org', '10.0.0.1'],
      usageClientAuth: true,
    });
    const [leaf, appCa, root] = chain.map((pem) => new X509Certificate(pem));
    if (leaf === undefined || appCa === undefined || root === undefined) throw new Error('three certificates expected');
    expect(leaf.checkPrivateKey(createPrivateKey(key))).toBe(true);
    expect(leaf.verify(appCa.publicKey) && appCa.verify(root.publicKey)).toBe(true);
    expect(hex(root.publicKey.export({ format: 'der', type: 'spki' }))).toBe(hex(stage.kms.root.caSpki));
    expect(leaf.checkHost('hello.example.org')).toBe('hello.example.org');
    expect(leaf.checkIP('10.0.0.1')).toBe('10.0.0.1');
    expect(leaf.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
    const other = await client.getTlsKey({ subject: 'hello' });
    expect(other.key).not.toBe(key);
  });

  it('honours the validity window', async () => {
    const { certificate_chain: chain } = await client.getTlsKey({ notBefore: 1_800_000_000, notAfter: 1_800_003_600 });
    const leaf = new X509Certificate(chain[0] ?? '');
    expect([leaf.validFromDate.getTime(), leaf.validToDate.getTime()]).toEqual([1_800_000_000_000, 1_800_003_600_000]);
  });

  it('signs and verifies', async () => {
    for (const algorithm of ['ed25519', 'secp256k1'] as const) {
      const data = Buffer.from('message');
      const { signature, public_key: publicKey, signature_chain: chain } = await client.sign(algorithm, data);
      expect(chain).toHaveLength(3);
      expect(await client.verify(algorithm, data, signature, publicKey)).toMatchObject({ valid: true });
      expect(await client.verify(algorithm, Buffer.from('other'), signature, publicKey)).toMatchObject({
        valid: false,
      });
    }
    const { signature, public_key: raw } = await client.sign('ed25519', 'message');
    const key = {
      key: { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(raw).toString('base64url') },
      format: 'jwk',
    } as const;
    expect(verify(null, Buffer.from('message'), key, signature)).toBe(true);
  });
});
