import type { EventStore, StoredEvent } from '@vouch/eventstore';
import {
  certificateRequestClaims,
  deriveAppCaKey,
  type MintedCertificate,
  mintAppCa,
  mintAppLeaf,
  type SignedCertificateRequest,
  verifyCertificateRequest,
} from '@vouch/keys';
import { deterministicEventId, type EventWriter } from '@vouch/platform';
import { z } from 'zod';
import { HostRequestRefusedError } from '../challenge/challenge-issuer.js';
import type { HostRateLimit } from '../challenge/host-rate-limit.js';
import type { GrantLog } from '../grant/grant-log.js';
import { judgeEpoch, judgeHost, judgeWanted } from '../placement/judge-placement.js';
import { readPlacement } from '../placement/placement-view.js';
import type { KeyEpochLog } from '../root/key-epoch-log.js';
import { keyEpochEntry } from '../root/key-epochs.js';
import type { Keyring } from '../root/keyring.js';
import type { KmsRoot } from '../root/root-files.js';
import { certificateTerms } from './certificate-rules.js';

const requestSchema = z.strictObject({
  request: z.strictObject({ statement: z.string().max(16_384), signature: z.string().max(256) }),
});

export interface CertificateIssuerParts {
  readonly keyring: Keyring;
  readonly epochs: KeyEpochLog;
  readonly store: EventStore;
  readonly writer: EventWriter;
  readonly grants: GrantLog;
  readonly limit: HostRateLimit;
  readonly now: () => Date;
}

type IssuedGrant = StoredEvent<'grant.issued'>;

/**
 * Certifies keys of granted guests under their app's CA. The asker is known by the identity key its evidence was bound
 * to, not by the host that relays the request; the certificate is in the log before it is handed out.
 */
export class CertificateIssuer {
  constructor(private readonly parts: CertificateIssuerParts) {}

  /** Answers PEM certificates: leaf, App CA, root CA. Throws HostRequestRefusedError, or retryable errors. */
  async issue(hostId: string, request: unknown): Promise<{ readonly chain: string[] }> {
    this.parts.limit.take(hostId);
    const parsed = requestSchema.safeParse(request);
    if (!parsed.success) throw new HostRequestRefusedError('bad-request', z.prettifyError(parsed.error));
    const signed: SignedCertificateRequest = parsed.data.request;
    const grant = await this.#grantInForce(hostId, signed);
    const { data } = grant.envelope;
    const verified = verifyCertificateRequest(signed, Buffer.from(data.keys.tls, 'hex'));
    if (!verified.ok) throw new HostRequestRefusedError(verified.code, verified.reason);
    if (verified.request.appId !== data.appId) {
      throw new HostRequestRefusedError('request-refused', `the grant is of app ${data.appId}`);
    }
    const now = this.parts.now();
    const reservedDomains = await this.#reservedDomains();
    const bounds = { appId: data.appId, address: data.address, reservedDomains, now };
    const terms = certificateTerms(verified.request, bounds);
    if (!terms.ok) throw new HostRequestRefusedError('request-refused', terms.reason);
    const appId = Buffer.from(data.appId, 'hex');
    const root = await this.#rootOf(data.keyEpoch);
    const appCaKey = deriveAppCaKey(root.keys, appId);
    const { subject, altNames, notBefore, notAfter } = terms;
    const leaf = mintAppLeaf({
      ...{ appCaKey, appId, subject, altNames, now, notBefore, notAfter },
      publicKey: Buffer.from(verified.request.publicKey, 'hex'),
      usages: verified.request.usages,
    });
    await this.#log(grant, leaf, subject, altNames, hostId);
    const appCa = mintAppCa(root.keys, appCaKey, appId, now);
    return { chain: [leaf.pem, appCa.pem, root.rootCaCert] };
  }

  /** The grant the request names, when it is the instance's latest and its placement is the one in force. */
  async #grantInForce(hostId: string, signed: SignedCertificateRequest): Promise<IssuedGrant> {
    const claims = certificateRequestClaims(signed);
    if (claims === undefined) throw new HostRequestRefusedError('request-malformed', 'the statement is malformed');
    const { instanceId, grantSeq, epoch } = claims;
    const history = await this.parts.grants.history(instanceId);
    const latest = history.events.findLast(({ envelope }) => envelope.type === 'grant.issued') as
      | IssuedGrant
      | undefined;
    if (latest === undefined || latest.seq !== grantSeq) {
      throw new HostRequestRefusedError('grant-not-in-force', `event ${grantSeq} is not the instance's latest grant`);
    }
    const { data } = latest.envelope;
    const { instance } = await readPlacement(this.parts.store, instanceId);
    const place = { hostId, epoch };
    for (const finding of [judgeHost(instance, place), judgeEpoch(instance, place), judgeWanted(instance)]) {
      if (!finding.ok) throw new HostRequestRefusedError('not-placed-here', finding.detail);
    }
    if (data.hostId !== hostId || data.epoch !== epoch) {
      throw new HostRequestRefusedError('grant-not-in-force', 'the grant is of another host or epoch');
    }
    return latest;
  }

  /** Root of the grant's key epoch, as long as that is good: a guest of a tainted one must attest anew first. */
  async #rootOf(keyEpoch: number): Promise<KmsRoot> {
    const { epochs } = await this.parts.epochs.read();
    const status = keyEpochEntry(epochs, keyEpoch)?.status;
    if (status !== 'active' && status !== 'superseded') {
      throw new HostRequestRefusedError('key-epoch-over', `key epoch ${keyEpoch} is ${status ?? 'unknown'}`);
    }
    return await this.parts.keyring.root(keyEpoch);
  }

  async #reservedDomains(): Promise<string[]> {
    const domains = new Set([this.parts.keyring.first.domain]);
    const gateways = this.parts.store.read({ fromSeq: 1, filters: ['evt.gateway.>'], follow: false });
    for await (const { envelope } of gateways) {
      if (envelope.type === 'gateway.node-joined') domains.add(envelope.data.baseDomain);
    }
    return [...domains];
  }

  async #log(
    grant: IssuedGrant,
    leaf: MintedCertificate,
    subject: string,
    altNames: readonly string[],
    hostId: string,
  ): Promise<void> {
    const { instanceId, appId, epoch } = grant.envelope.data;
    const { fingerprint, serial, notBefore, notAfter } = leaf;
    await this.parts.writer.write(
      'certificate.issued',
      {
        ...{ instanceId, appId, epoch, fingerprint, serial, subject },
        altNames: [...altNames],
        notBefore: notBefore.toISOString(),
        notAfter: notAfter.toISOString(),
      },
      {
        id: deterministicEventId('certificate', fingerprint),
        actor: `host-worker/${hostId}`,
        cause: grant.envelope.id,
        corr: grant.envelope.corr,
      },
    );
  }
}
