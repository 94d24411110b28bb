import { type CollateralEndpoint, endpointName } from '../../collateral/collateral-endpoint.js';
import {
  CollateralUnavailableError,
  type EndpointFailure,
  EndpointFault,
  unavailable,
} from '../../collateral/collateral-unavailable-error.js';
import { type FetchDocument, fetchDocument } from '../../collateral/fetch-document.js';
import { Refusal } from '../../refusal.js';
import { readSnpChain } from '../certificate-chain.js';
import type { ParsedSnpReport } from '../parsed-report.js';
import { SNP_PRODUCTS, type SnpProduct } from '../product.js';
import { readTcbVersion } from '../tcb-version.js';
import { amdTrustAnchors, type SnpTrustAnchor } from '../trust-anchor.js';
import type { SnpCollateral } from '../verified-report.js';
import { readIssuers, readVcek, type SnpIssuers } from './authentic-collateral.js';
import {
  AMD_KDS_URL,
  type KdsKeyKind,
  kdsChainUrl,
  kdsRevocationListUrl,
  kdsVcekUrl,
  type VcekAddress,
} from './urls.js';

/** AMD's service or a mirror of it: base URL without `/vcek/v1`, TLS as for every collateral endpoint. */
export type KdsEndpoint = Omit<CollateralEndpoint, 'rootCrlUrl'>;

export interface KdsClientOptions {
  /** Asked in this order, the next one when one fails; default: AMD's own service. */
  readonly endpoints?: readonly KdsEndpoint[];
  readonly now: () => Date;
  /** Roots that an answer must lead to before it is kept; default: AMD's. */
  readonly trustAnchors?: readonly SnpTrustAnchor[];
  /** Per endpoint and document; default 10 000. */
  readonly timeoutMs?: number;
  /** How old a CRL may be before the endpoints are asked again; default 3 600 000 (1 h). */
  readonly revocationMaxAgeMs?: number;
  readonly fetchDocument?: FetchDocument;
}

interface Kept<T> {
  readonly value: T;
  readonly fetchedAt: Date;
  readonly notAfter: Date;
}

/** Chip ids come from unverified reports, so that the number of remembered keys is bounded. */
const VCEKS_MAX = 1024;

/**
 * Gets certificates and CRL for a report from AMD's key distribution service or mirrors of it. An answer counts only when
 * it is genuine and the one that was asked for; `verifySnpReport` checks all of it again. A VCEK never changes and is kept
 * while it is valid; a CRL is asked for again when it is old, and a kept one that is still valid serves while no endpoint
 * answers.
 */
export class KdsClient {
  private readonly issuers = new Map<string, Kept<SnpIssuers>>();
  private readonly vceks = new Map<string, Kept<Uint8Array>>();
  private readonly pendingIssuers = new Map<string, Promise<SnpIssuers>>();
  private readonly pendingVceks = new Map<string, Promise<Uint8Array>>();
  private readonly endpoints: readonly KdsEndpoint[];

  /** @throws InvalidEndpointError */
  constructor(private readonly options: KdsClientOptions) {
    this.endpoints = options.endpoints ?? [{ url: AMD_KDS_URL }];
    for (const endpoint of this.endpoints) endpointName(endpoint);
  }

  /**
   * Collateral for this report. When the evidence brings its own certificates, only the CRL is asked for (a VLEK can be had
   * no other way).
   * @throws CollateralUnavailableError with one failure per endpoint
   */
  async collateralFor(report: ParsedSnpReport, certificates: readonly Uint8Array[] = []): Promise<SnpCollateral> {
    if (certificates.length > 0) {
      const { endorsement } = wellFormed(() => readSnpChain(certificates));
      const { revocationList } = await this.issuersOf(endorsement.kind, endorsement.product);
      return { certificates, revocationList };
    }
    if (report.signingKey !== 'VCEK') {
      throw new CollateralUnavailableError(`a ${report.signingKey} certificate must come with the evidence`, false);
    }
    if (report.product !== null) return this.forProduct(report, report.product);
    return this.forUnknownProduct(report);
  }

  /** Version 2 reports do not name their product line: the one that knows the chip is it. */
  private async forUnknownProduct(report: ParsedSnpReport): Promise<SnpCollateral> {
    const failures: EndpointFailure[] = [];
    for (const product of SNP_PRODUCTS) {
      try {
        return await this.forProduct(report, product);
      } catch (error) {
        if (!(error instanceof CollateralUnavailableError)) throw error;
        failures.push(...error.endpoints);
      }
    }
    throw unavailable('an SEV-SNP chip of any product line', failures);
  }

  private async forProduct(report: ParsedSnpReport, product: SnpProduct): Promise<SnpCollateral> {
    const tcb = wellFormed(() => readTcbVersion(report.tcbBytes.reported, product, 'the reported TCB'));
    const address = { product, chipId: report.chipId, tcb };
    const issuers = await this.issuersOf('VCEK', product);
    const vcek = await this.vcekOf(address, issuers);
    return { certificates: [vcek, issuers.signerDer], revocationList: issuers.revocationList };
  }

  private async issuersOf(kind: KdsKeyKind, product: SnpProduct): Promise<SnpIssuers> {
    const key = `${kind} ${product}`;
    const known = this.issuers.get(key);
    if (known !== undefined && this.isFresh(known, this.options.revocationMaxAgeMs ?? 3_600_000)) return known.value;
    try {
      return await once(this.pendingIssuers, key, async () => {
        const value = await this.askEach(`SEV-SNP ${product}`, async (endpoint) => {
          const [chain, crl] = await Promise.all([
            this.get(endpoint, kdsChainUrl(endpoint.url, kind, product)),
            this.get(endpoint, kdsRevocationListUrl(endpoint.url, kind, product)),
          ]);
          return genuine(() => readIssuers(chain, crl, this.options.trustAnchors ?? amdTrustAnchors()));
        });
        this.issuers.set(key, { value, fetchedAt: this.options.now(), notAfter: value.notAfter });
        return value;
      });
    } catch (error) {
      const stale = error instanceof CollateralUnavailableError && known !== undefined;
      if (stale && this.isFresh(known, Number.POSITIVE_INFINITY)) return known.value;
      throw error;
    }
  }

  private async vcekOf(address: VcekAddress, { signer }: SnpIssuers): Promise<Uint8Array> {
    const url = kdsVcekUrl(AMD_KDS_URL, address);
    const key = `${url.pathname}${url.search}`;
    const known = this.vceks.get(key);
    if (known !== undefined && this.isFresh(known, Number.POSITIVE_INFINITY)) return known.value;
    return once(this.pendingVceks, key, async () => {
      const kept = await this.askEach(`SEV-SNP ${address.product} chip`, async (endpoint) => {
        const value = await this.get(endpoint, kdsVcekUrl(endpoint.url, address));
        return { value, notAfter: genuine(() => readVcek(value, address, signer)) };
      });
      this.remember(key, { ...kept, fetchedAt: this.options.now() });
      return kept.value;
    });
  }

  private isFresh(kept: Kept<unknown>, maxAgeMs: number): boolean {
    const now = this.options.now();
    const ageMs = now.getTime() - kept.fetchedAt.getTime();
    return ageMs >= 0 && ageMs < maxAgeMs && now <= kept.notAfter;
  }

  private async askEach<T>(what: string, ask: (endpoint: KdsEndpoint) => Promise<T>): Promise<T> {
    const failures: EndpointFailure[] = [];
    for (const endpoint of this.endpoints) {
      try {
        return await ask(endpoint);
      } catch (error) {
        if (!(error instanceof EndpointFault)) throw error;
        const { code, message, retryable } = error;
        failures.push({ endpoint: endpointName(endpoint), code, message, retryable });
      }
    }
    throw unavailable(what, failures);
  }

  private async get(endpoint: KdsEndpoint, url: URL): Promise<Uint8Array> {
    const options = { timeoutMs: this.options.timeoutMs ?? 10_000, tlsRootsPem: endpoint.tlsRootsPem };
    return (await (this.options.fetchDocument ?? fetchDocument)(url, options)).body;
  }

  private remember(key: string, kept: Kept<Uint8Array>): void {
    this.vceks.delete(key);
    this.vceks.set(key, kept);
    for (const oldest of this.vceks.keys()) {
      if (this.vceks.size <= VCEKS_MAX) break;
      this.vceks.delete(oldest);
    }
  }
}

/** One round for all who ask for the same at the same time. */
function once<T>(pending: Map<string, Promise<T>>, key: string, load: () => Promise<T>): Promise<T> {
  const running = pending.get(key);
  if (running !== undefined) return running;
  const started = load().finally(() => pending.delete(key));
  pending.set(key, started);
  return started;
}

/** What an endpoint answered is malformed or not genuine: another endpoint may do better. */
function genuine<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof Refusal) throw new EndpointFault('NOT_AUTHENTIC', error.message, true, { cause: error });
    throw error;
  }
}

/** What the evidence itself has wrong does not mend by asking again. */
function wellFormed<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof Refusal) throw new CollateralUnavailableError(error.message, false, [], { cause: error });
    throw error;
  }
}
