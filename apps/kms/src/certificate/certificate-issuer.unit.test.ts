import { X509Certificate } from 'node:crypto';
import { type CertificateRequest, generateP256, type P256Key, signCertificateRequest } from '@vouch/keys';
import { beforeEach, describe, expect, it } from 'vitest';
import { HostRateLimit } from '../challenge/host-rate-limit.js';
import { APP_ID, COMPOSE_HASH, INSTANCE_ID, NOW, RELEASE_ID, TestGuest } from '../testing/guest.js';
import { KmsWorld } from '../testing/kms-world.js';
import { CertificateIssuer } from './certificate-issuer.js';

let world: KmsWorld;
let guest: TestGuest;
let identity: P256Key;
let issuer: CertificateIssuer;
let grantSeq: number;

beforeEach(async () => {
  world = new KmsWorld();
  guest = await TestGuest.make();
  identity = generateP256();
  guest.claims = { ...guest.claims, tlsKey: Buffer.from(identity.spki).toString('hex') };
  guest.quoteClaims();
  await place(1, 'host-2');
  await place(2, 'host-1');
  await world.kms(guest).answer(await world.submit(guest.submission));
  grantSeq = (await world.grants.history(INSTANCE_ID)).lastSeq;
  issuer = new CertificateIssuer({
    keyring: world.keyring,
    epochs: world.epochs,
    store: world.store,
    writer: world.writer,
    grants: world.grants,
    limit: new HostRateLimit({ burst: 50, perSecond: 50, monotonicMs: () => performance.now() }),
    now: () => NOW,
  });
});

async function place(epoch: number, hostId: string): Promise<void> {
  const author = world.authors.of('control-api');
  const instanceId = INSTANCE_ID;
  const subject = `evt.instance.${instanceId}`;
  const data = { instanceId, appId: APP_ID, releaseId: RELEASE_ID, composeHash: COMPOSE_HASH, seed: '3d'.repeat(20) };
  const isFirst = (await world.store.lastOf(subject)) === undefined;
  if (isFirst) await world.store.append(world.authors.event(author, 'instance.created', data), 0);
  const last = (await world.store.lastOf(subject))?.seq ?? 0;
  const placed = { hostId, instanceId, epoch, address: '127.16.0.5', reason: 'test' };
  await world.store.append(world.authors.event(author, 'instance.placed', placed), last);
}

function signed(change: Partial<CertificateRequest> = {}, key = identity) {
  const request: CertificateRequest = {
    version: 1,
    appId: APP_ID,
    instanceId: INSTANCE_ID,
    epoch: 2,
    grantSeq,
    publicKey: Buffer.from(generateP256().spki).toString('hex'),
    subject: 'app.example.com',
    altNames: ['app.example.com'],
    usages: ['serverAuth'],
    ...change,
  };
  return { request: signCertificateRequest(request, key.privateKey) };
}

describe('a certificate request of a granted guest', () => {
  it('is answered with a chain to the root, and is in the log', async () => {
    const { chain } = await issuer.issue('host-1', signed());
    const [leaf, appCa, root] = chain.map((pem) => new X509Certificate(pem));
    if (leaf === undefined || appCa === undefined || root === undefined) throw new Error('three certificates');
    expect(leaf.verify(appCa.publicKey) && appCa.verify(root.publicKey) && root.verify(root.publicKey)).toBe(true);
    expect(root.toString()).toBe(world.root.rootCaCert);
    expect(leaf.subjectAltName).toBe('DNS:app.example.com');
    const [logged] = await world.store.readSubject(`evt.certificate.${INSTANCE_ID}`);
    expect(logged?.envelope).toMatchObject({
      type: 'certificate.issued',
      data: { fingerprint: leaf.fingerprint256.replaceAll(':', '').toLowerCase(), appId: APP_ID, epoch: 2 },
    });
  });

  it.each([
    ['another key than the attested one', () => signed({}, generateP256()), 'request-signature-invalid'],
    ['another app', () => signed({ appId: 'ab'.repeat(20) }), 'request-refused'],
    ['an old epoch', () => signed({ epoch: 1 }), 'not-placed-here'],
    ['a grant that is none', () => signed({ grantSeq: 1 }), 'grant-not-in-force'],
    ['an instance without a grant', () => signed({ instanceId: 'ff'.repeat(20) }), 'grant-not-in-force'],
    ['the name of the KMS', () => signed({ altNames: ['kms.example'] }), 'request-refused'],
    [
      '17 names',
      () => signed({ altNames: Array.from({ length: 17 }, (_, n) => `n${n}.example.com`) }),
      'request-refused',
    ],
    ['no form', () => ({ request: 'nothing' }), 'bad-request'],
  ])('is refused for %s', async (_, request, code) => {
    await expect(issuer.issue('host-1', request())).rejects.toMatchObject({ code, retryable: false });
    expect(await world.store.readSubject(`evt.certificate.${INSTANCE_ID}`)).toEqual([]);
  });

  it('is refused from another host, and after the instance has moved on', async () => {
    await expect(issuer.issue('host-2', signed())).rejects.toMatchObject({ code: 'not-placed-here' });
    await place(3, 'host-1');
    await expect(issuer.issue('host-1', signed())).rejects.toMatchObject({ code: 'not-placed-here' });
    await expect(issuer.issue('host-1', signed({ epoch: 3 }))).rejects.toMatchObject({ code: 'grant-not-in-force' });
  });

  it('is refused for names of the gateway that are not its own', async () => {
    const author = world.authors.of('gateway', 'gw-1');
    const data = { nodeId: 'gw-1', baseDomain: 'apps.example', unsafe: [] };
    await world.store.append(world.authors.event(author, 'gateway.node-joined', data), 0);
    const foreign = signed({ altNames: [`${'bb'.repeat(20)}.apps.example`] });
    await expect(issuer.issue('host-1', foreign)).rejects.toMatchObject({ code: 'request-refused' });
    expect((await issuer.issue('host-1', signed({ altNames: [`${APP_ID}.apps.example`] }))).chain).toHaveLength(3);
  });

  it('is refused once the key epoch of the grant is tainted', async () => {
    const data = { kmsId: 'kms-1', keyEpoch: 0, reason: 'test' };
    await world.writer.write('kms.key-epoch-tainted', data, { actor: 'operator:test' });
    await expect(issuer.issue('host-1', signed())).rejects.toMatchObject({ code: 'key-epoch-over' });
  });

  it('is not answered while the log is away', async () => {
    world.store.setUnavailable(true);
    await expect(issuer.issue('host-1', signed())).rejects.toMatchObject({ retryable: true });
  });
});
