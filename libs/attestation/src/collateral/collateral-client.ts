import type { ParsedQuote } from '../abi/parsed-quote.js';
import { toHex } from '../bytes.js';
import { Refusal } from '../refusal.js';
import { readPckChain } from '../verify/pck.js';
import { CollateralUnavailableError } from './collateral-unavailable-error.js';
import { exactMember } from './exact-member.js';
import { parseCollateral } from './parse-collateral.js';
import { fetchPccs, type PccsResponse } from './pccs-response.js';
import type { QuoteCollateralV3 } from './quote-collateral.js';

export interface CollateralClientOptions {
  /** PCCS base, for example `https://localhost:8081`; the v4 paths are appended. */
  readonly baseUrl: string;
  readonly now: () => Date;
  /** Per request; default 10 000. */
  readonly timeoutMs?: number;
  /** How long an answer is reused while all its windows hold; default 3 600 000. */
  readonly maxAgeMs?: number;
  readonly fetch?: typeof globalThis.fetch;
}

interface Platform {
  readonly tee: 'sgx' | 'tdx';
  readonly fmspc: string;
  readonly ca: 'platform' | 'processor';
}

interface Entry {
  readonly collateral: QuoteCollateralV3;
  readonly fetchedAt: Date;
  readonly notAfter: Date;
}

/** FMSPC and CA come from unverified quotes, so that the number of remembered platforms is bounded. */
const ENTRIES_MAX = 256;

/**
 * Gets collateral from a PCCS (API v4) and keeps it by TEE, FMSPC and CA. It returns the exact signed bytes and trusts
 * nothing: whatever a hostile server answers, `verifyParsedQuote` refuses it. An answer is reused only while it is younger than
 * `maxAgeMs` and inside all its windows at the time of use.
 */
export class CollateralClient {
  private readonly entries = new Map<string, Entry>();
  private readonly pending = new Map<string, Promise<QuoteCollateralV3>>();
  private readonly fetch: typeof globalThis.fetch;

  constructor(private readonly options: CollateralClientOptions) {
    this.fetch = options.fetch ?? globalThis.fetch;
  }

  /** @throws CollateralUnavailableError, also when the quote carries no readable PCK certificate */
  async collateralFor(quote: ParsedQuote): Promise<QuoteCollateralV3> {
    const platform = readPlatform(quote);
    const key = cacheKey(platform);
    const known = this.entries.get(key);
    if (known !== undefined && this.isFresh(known)) return known.collateral;
    const running = this.pending.get(key);
    if (running !== undefined) return running;
    const started = this.load(platform, key).finally(() => this.pending.delete(key));
    this.pending.set(key, started);
    return started;
  }

  /** Forgets what is kept for the platform of this quote: call it when verification refused the collateral. */
  forget(quote: ParsedQuote): void {
    this.entries.delete(cacheKey(readPlatform(quote)));
  }

  private isFresh(entry: Entry): boolean {
    const now = this.options.now();
    const ageMs = now.getTime() - entry.fetchedAt.getTime();
    return ageMs >= 0 && ageMs < (this.options.maxAgeMs ?? 3_600_000) && now <= entry.notAfter;
  }

  private async load(platform: Platform, key: string): Promise<QuoteCollateralV3> {
    const fetchedAt = this.options.now();
    const [tcb, identity, pckCrl, rootCrl] = await Promise.all([
      this.get(`${platform.tee}/certification/v4/tcb`, { fmspc: platform.fmspc }),
      this.get(`${platform.tee}/certification/v4/qe/identity`, {}),
      this.get('sgx/certification/v4/pckcrl', { ca: platform.ca, encoding: 'der' }),
      this.get('sgx/certification/v4/rootcacrl', {}),
    ]);
    const { collateral, notAfter } = wellFormed(() => assemble(tcb, identity, pckCrl, rootCrl));
    this.entries.delete(key);
    this.entries.set(key, { collateral, fetchedAt, notAfter });
    for (const oldest of this.entries.keys()) {
      if (this.entries.size <= ENTRIES_MAX) break;
      this.entries.delete(oldest);
    }
    return collateral;
  }

  private get(path: string, query: Readonly<Record<string, string>>): Promise<PccsResponse> {
    const url = new URL(`${this.options.baseUrl.replace(/\/+$/, '')}/${path}`);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    return fetchPccs(url, this.options.timeoutMs ?? 10_000, this.fetch);
  }
}

function readPlatform(quote: ParsedQuote): Platform {
  const { extension, ca } = wellFormed(() => readPckChain(quote, null));
  return { tee: quote.header.tee === 'TDX' ? 'tdx' : 'sgx', fmspc: extension.fmspc, ca };
}

function cacheKey({ tee, fmspc, ca }: Platform): string {
  return `${tee}/${fmspc}/${ca}`;
}

function assemble(
  tcb: PccsResponse,
  identity: PccsResponse,
  pckCrl: PccsResponse,
  rootCrl: PccsResponse,
): { readonly collateral: QuoteCollateralV3; readonly notAfter: Date } {
  const tcbText = Buffer.from(tcb.body).toString('utf8');
  const identityText = Buffer.from(identity.body).toString('utf8');
  const collateral: QuoteCollateralV3 = {
    tcb_info: exactMember(tcbText, 'tcbInfo'),
    tcb_info_signature: unquote(exactMember(tcbText, 'signature')),
    tcb_info_issuer_chain: issuerChain(tcb, 'TCB-Info-Issuer-Chain', 'SGX-TCB-Info-Issuer-Chain'),
    qe_identity: exactMember(identityText, 'enclaveIdentity'),
    qe_identity_signature: unquote(exactMember(identityText, 'signature')),
    qe_identity_issuer_chain: issuerChain(identity, 'SGX-Enclave-Identity-Issuer-Chain'),
    pck_crl: revocationListHex(pckCrl),
    pck_crl_issuer_chain: issuerChain(pckCrl, 'SGX-PCK-CRL-Issuer-Chain'),
    root_ca_crl: revocationListHex(rootCrl),
  };
  const parsed = parseCollateral(collateral);
  const ends = [parsed.tcbInfo, parsed.qeIdentity, parsed.pckCrl, parsed.rootCrl].map((piece) =>
    piece.nextUpdate.getTime(),
  );
  return { collateral, notAfter: new Date(Math.min(...ends)) };
}

/** Chains come URL-encoded in headers. */
function issuerChain({ headers }: PccsResponse, ...names: readonly string[]): string {
  const value = names.map((name) => headers.get(name)).find((header) => header !== null);
  if (value === undefined || value === null) {
    throw new Refusal('COLLATERAL_FORMAT', `the response has no ${names[0]} header`);
  }
  try {
    return decodeURIComponent(value);
  } catch {
    throw new Refusal('COLLATERAL_FORMAT', `the ${names[0]} header is not URL-encoded`);
  }
}

/** Intel's service answers DER, a PCCS often DER as hex text. */
function revocationListHex({ body }: PccsResponse): string {
  const text = Buffer.from(body).toString('latin1').trim();
  return /^[0-9a-fA-F]+$/.test(text) ? text : toHex(body);
}

function unquote(json: string): string {
  const value: unknown = JSON.parse(json);
  if (typeof value !== 'string') throw new Refusal('COLLATERAL_FORMAT', 'the signature is not a string');
  return value;
}

/** What cannot be parsed is unavailable, and asking again does not mend it. */
function wellFormed<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof Refusal) throw new CollateralUnavailableError(error.message, false, { cause: error });
    throw error;
  }
}
