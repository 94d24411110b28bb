import { createPublicKey, generateKeyPairSync, randomUUID } from 'node:crypto';
import { authorEvent, type Claims, type EventAuthor, type EventData, keyIdOf, type TrustFile } from '@vouch/domain';
import {
  deriveAppCaKey,
  deriveAppKeys,
  encodeGrantPayload,
  kmsEventKey,
  mintAppCa,
  mintAppLeaf,
  mintRootCa,
  payloadHashOf,
  RootKeys,
  type SignedCertificateRequest,
  sealPayload,
  verifyCertificateRequest,
} from '@vouch/keys';
import { MemoryTree, receiptOf, signCheckpoint } from '@vouch/transparency';

const ORIGIN = 'vouch.test/log';
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const unhex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'));

/** The decision as it travels to the guest; tests change parts of it on the way. */
export interface Decision {
  requestId: string;
  outcome: 'issued' | 'denied';
  receipt: unknown;
  sealed: { enc: string; ciphertext: string } | null;
  kms: { rootCaSpki: string; eventKey: string; endorsement: string };
}

/** What the KMS wrote into its grant event, before it was signed. */
export type GrantChange = (data: EventData<'grant.issued'>) => EventData<'grant.issued'>;

/**
 * A KMS with a log of its own in memory: real keys, real signatures, real receipts, and no checks at all (it grants or
 * denies as the test says).
 */
export class FakeKms {
  readonly root = RootKeys.generate();
  readonly #log = generateKeyPairSync('ed25519');
  readonly #tree = new MemoryTree();
  readonly #granted = new Map<string, { readonly spki: Uint8Array; readonly seq: number }>();
  readonly osImageHash = '5a'.repeat(32);
  readonly deviceId = 'd0'.repeat(32);

  trust(): TrustFile {
    const raw = (key: ReturnType<typeof createPublicKey>): string => key.export({ format: 'jwk' }).x ?? '';
    const eventKey = kmsEventKey(this.root);
    return {
      version: 1,
      keys: [{ service: 'kms', node: '', publicKey: raw(eventKey.publicKey) }],
      log: { origin: ORIGIN, publicKey: raw(this.#log.publicKey) },
      kmsRoot: {
        rootCaSpki: hex(this.root.caSpki),
        k256Pub: hex(this.root.k256PublicKey),
        endorsement: Buffer.from(eventKey.endorsement).toString('base64url'),
      },
    };
  }

  async grant(
    requestId: string,
    claims: Claims,
    composeHash: string,
    change: GrantChange = (data) => data,
  ): Promise<Decision> {
    const keys = deriveAppKeys(this.root, unhex(claims.appId), unhex(claims.instanceId));
    const payload = encodeGrantPayload({
      diskCryptKey: hex(keys.diskCryptKey),
      envCryptKey: hex(keys.envCryptKey),
      k256Key: hex(keys.k256Key),
      k256Signature: hex(keys.k256Signature),
      caCert: mintRootCa(this.root, new Date()).pem,
      gatewayAppId: '',
      osImageHash: this.osImageHash,
      keyProvider: { name: 'kms', id: hex(this.root.caSpki) },
    });
    const sealed = await sealPayload(unhex(claims.hpkeKey), requestId, payload);
    const data = change({
      ...this.#common(requestId, claims),
      composeHash,
      keyEpoch: 0,
      osImageHash: this.osImageHash,
      mrAggregated: '11'.repeat(32),
      deviceId: this.deviceId,
      tcbStatus: 'UpToDate',
      advisoryIds: [],
      keys: { hpke: claims.hpkeKey, wireguard: claims.wireguardKey, tls: claims.tlsKey },
      address: '127.64.0.1',
      ports: [],
      gatewayAppId: '',
      payloadHash: payloadHashOf(sealed),
    });
    const { seq, receipt } = this.#append('grant.issued', data);
    this.#granted.set(claims.instanceId, { spki: unhex(claims.tlsKey), seq });
    return {
      requestId,
      outcome: 'issued',
      receipt,
      sealed: {
        enc: Buffer.from(sealed.enc).toString('base64'),
        ciphertext: Buffer.from(sealed.ciphertext).toString('base64'),
      },
      kms: this.statement(),
    };
  }

  deny(requestId: string, claims: Claims, failedCheck: string, reason: string): Decision {
    const data = { ...this.#common(requestId, claims), composeHash: null, failedCheck, reason };
    const { receipt } = this.#append('grant.denied', data);
    return { requestId, outcome: 'denied', receipt, sealed: null, kms: this.statement() };
  }

  statement(): Decision['kms'] {
    const { rawPublicKey, endorsement } = kmsEventKey(this.root);
    return {
      rootCaSpki: hex(this.root.caSpki),
      eventKey: hex(rawPublicKey),
      endorsement: Buffer.from(endorsement).toString('base64'),
    };
  }

  /** Chain for a granted guest's request, or undefined when the request is not its own. */
  certify(signed: SignedCertificateRequest, instanceId: string): string[] | undefined {
    const granted = this.#granted.get(instanceId);
    if (granted === undefined) return undefined;
    const verified = verifyCertificateRequest(signed, granted.spki);
    if (!verified.ok || verified.request.grantSeq !== granted.seq) return undefined;
    const { request } = verified;
    const appId = unhex(request.appId);
    const appCaKey = deriveAppCaKey(this.root, appId);
    const now = new Date();
    const leaf = mintAppLeaf({
      appCaKey,
      appId,
      publicKey: unhex(request.publicKey),
      subject: request.subject,
      altNames: request.altNames,
      usages: request.usages,
      now,
      ...(request.notBefore === undefined ? {} : { notBefore: new Date(request.notBefore * 1000) }),
      ...(request.notAfter === undefined ? {} : { notAfter: new Date(request.notAfter * 1000) }),
    });
    return [leaf.pem, mintAppCa(this.root, appCaKey, appId, now).pem, mintRootCa(this.root, now).pem];
  }

  #append<T extends 'grant.issued' | 'grant.denied'>(type: T, data: EventData<T>): { seq: number; receipt: unknown } {
    const { privateKey, publicKey } = kmsEventKey(this.root);
    const author: EventAuthor = { service: 'kms', node: '', keyid: keyIdOf(publicKey), privateKey };
    const time = new Date();
    const event = authorEvent(author, { id: randomUUID(), type, data, time, actor: 'kms', cause: '', corr: '' });
    const index = this.#tree.append(event.bytes);
    const size = this.#tree.size;
    const checkpoint = signCheckpoint({ origin: ORIGIN, size, root: this.#tree.root(), time }, this.#log);
    return { seq: size, receipt: receiptOf(size, event.bytes, this.#tree.inclusionProof(index), checkpoint) };
  }

  #common(requestId: string, claims: Claims) {
    return {
      requestId,
      requestSeq: 1,
      hostId: claims.hostId,
      instanceId: claims.instanceId,
      epoch: claims.epoch,
      appId: claims.appId,
      checks: [{ name: 'fake', outcome: 'skipped' as const, detail: 'this KMS checks nothing' }],
      collateralDigest: null,
      policy: null,
      unsafe: ['unsafeFakeKms'],
    };
  }
}
