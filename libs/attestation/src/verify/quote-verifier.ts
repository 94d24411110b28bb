import { parseQuote } from '../abi/parse-quote.js';
import type { ParsedQuote } from '../abi/parsed-quote.js';
import { CheckSheet } from '../check-sheet.js';
import type { QuoteCollateralV3 } from '../collateral/quote-collateral.js';
import { copyExtension } from '../x509/pck-extension.js';
import { type CollateralGeneration, equalPieces, takePieces, validateCollateral } from './collateral-generation.js';
import { requireKind } from './collateral-signatures.js';
import { ExactCache } from './exact-cache.js';
import { pckChainBytes } from './pck.js';
import { ProvenEnclave } from './proven-enclave.js';
import { ProvenPlatform } from './proven-platform.js';
import { toVerdict, type VerifiedVerdict } from './quote-verdict.js';
import { QuoteVerificationError } from './quote-verification-error.js';
import { SGX_DEBUG } from './quoting-enclave.js';
import { type ModuleMatch, matchModule } from './tdx-module.js';
import { INTEL_SGX_ROOT, type TrustAnchor } from './trust-anchor.js';
import type { VerifiedQuote, VerifyResult } from './verified-quote.js';
import { VERIFY_CHECKS, type VerifySheet } from './verify-checks.js';

export interface QuoteVerifierOptions {
  /** Roots to trust; default: the pinned Intel SGX Root CA only. */
  readonly trustAnchors?: readonly TrustAnchor[];
  /** Sets of collateral kept, each some 100 KB; default 16. 0 keeps nothing of anything. */
  readonly collateralMax?: number;
  /** PCK chains kept over all collateral, each some 10 KB; default 1024. */
  readonly platformsMax?: number;
  /** Quoting enclaves (attestation keys) kept over all platforms, each some 10 KB; default 1024. */
  readonly enclavesMax?: number;
}

export interface VerifierInput {
  /** The quote's bytes; what stands behind its declared end is padding and is ignored. */
  readonly quote: Uint8Array;
  readonly collateral: QuoteCollateralV3;
  readonly now: Date;
}

/** The head of a PCK chain holds the whole serial number of its first certificate, the leaf in every known quote. */
const CHAIN_INDEX_BYTES = 160;

/** First TD attribute byte, bit 0. */
const TD_DEBUG = 0x01;

/**
 * Verifies many quotes under one set of trust anchors and remembers what the next quote needs again: validated collateral,
 * PCK chains, quoting enclaves with their attestation keys.
 *
 * The results are those of the stateless form, always. What is remembered is found by its exact bytes, holds only under
 * the collateral generation it was proven with, and was proven: a refusal is never remembered. Everything that depends on
 * the time is checked at every use. Each cache is bounded; the least recently used entry leaves first. Nothing a caller
 * holds (input buffers, collateral objects, results) is shared with the caches.
 */
export class QuoteVerifier {
  /** Private copies of the anchors, and what the caller gave for each. */
  private readonly anchors: ReadonlyMap<TrustAnchor, TrustAnchor>;
  private readonly collateralMax: number;
  private readonly generations: CollateralGeneration[] = [];
  private readonly platforms: ExactCache<ProvenPlatform>;
  private readonly enclaves: ExactCache<ProvenEnclave>;
  private generationCount = 0;

  constructor(options: QuoteVerifierOptions = {}) {
    const { trustAnchors = [INTEL_SGX_ROOT], collateralMax = 16, platformsMax = 1024, enclavesMax = 1024 } = options;
    this.anchors = new Map(trustAnchors.map((given) => [{ ...given, der: new Uint8Array(given.der) }, given]));
    this.collateralMax = collateralMax;
    this.platforms = new ExactCache(collateralMax === 0 ? 0 : platformsMax);
    this.enclaves = new ExactCache(collateralMax === 0 ? 0 : enclavesMax);
  }

  /**
   * Bytes to verdict in one call, as `verifyQuote`.
   * @throws QuoteVerificationError with a stable `code` for every refusal, a revoked TCB level included
   * @throws RangeError when `now` is not a time
   */
  verify({ quote, collateral, now }: VerifierInput): VerifiedVerdict {
    const parsed = parseQuote(quote);
    if (!parsed.ok) throw new QuoteVerificationError(parsed, null, parsed.offset);
    const result = this.verifyParsed(parsed.quote, collateral, now);
    const checks = [...parsed.checks, ...result.checks];
    if (!result.ok) throw new QuoteVerificationError({ ...result, checks }, result.tcbStatus, null);
    return toVerdict(result.quote, checks);
  }

  /**
   * The stage from parsed quote to verified quote, as `verifyParsedQuote`: bad input is a refusal, never an exception.
   * @throws RangeError when `now` is not a time
   */
  verifyParsed(quote: ParsedQuote, collateral: QuoteCollateralV3, now: Date): VerifyResult {
    const at = new Date(now);
    if (Number.isNaN(at.getTime())) throw new RangeError('the evaluation time is not a valid date');
    const sheet: VerifySheet = new CheckSheet(VERIFY_CHECKS);
    const result = sheet.settle(() => this.runStages(sheet, quote, collateral, at));
    if (result.ok) return { ok: true, quote: result.value, checks: result.checks };
    return { ...result, tcbStatus: result.code === 'TCB_REVOKED' ? 'Revoked' : null };
  }

  private runStages(sheet: VerifySheet, quote: ParsedQuote, collateral: QuoteCollateralV3, now: Date): VerifiedQuote {
    const generation = this.proveCollateral(sheet, collateral);
    const { parsed } = generation;
    sheet.step(
      'collateral.kind',
      () => requireKind(quote, parsed),
      () => `collateral and quote are ${quote.header.tee}`,
    );
    const index = `${generation.id} ${latin1(quote.attestationKey)}`;
    const known = this.enclaves.find(index, quote.qeBlock);
    const platform = known?.platform ?? this.provePlatform(sheet, generation, quote);
    if (known !== undefined) platform.adopt(sheet);
    platform.require(sheet, now);
    const judged = known?.judged(quote);
    const module = judged === undefined ? requireModule(sheet, quote, generation) : null;
    if (judged !== undefined) sheet.adopt(judged.moduleCheck);
    const enclave = known ?? ProvenEnclave.prove(sheet, platform, quote);
    if (known !== undefined) enclave.adopt(sheet);
    else this.enclaves.keep(index, quote.qeBlock, enclave);
    enclave.requireSignature(sheet, quote);
    if (judged !== undefined) sheet.adopt(judged.tcbCheck);
    const tcb = judged?.tcb ?? enclave.judge(sheet, quote, module);
    return this.brand(quote, platform, tcb, now);
  }

  /** The generation of exactly this collateral: the one known, else a newly validated one. */
  private proveCollateral(sheet: VerifySheet, collateral: QuoteCollateralV3): CollateralGeneration {
    const taken = sheet.begin('collateral.format', () => takePieces(collateral));
    const at = this.generations.findIndex(({ pieces }) => equalPieces(pieces, taken));
    const known = this.generations[at];
    if (known !== undefined) {
      if (at > 0) {
        this.generations.splice(at, 1);
        this.generations.unshift(known);
      }
      sheet.adopt(known.checks);
      return known;
    }
    this.generationCount += 1;
    const generation = validateCollateral(sheet, this.generationCount, taken, [...this.anchors.keys()]);
    this.generations.unshift(generation);
    const leaving = this.generations.length > this.collateralMax ? this.generations.pop() : undefined;
    if (leaving !== undefined) {
      // What was proven under it would never be found again, and would keep it alive.
      this.platforms.forget((platform) => platform.generation === leaving);
      this.enclaves.forget((enclave) => enclave.platform.generation === leaving);
    }
    return generation;
  }

  /** The platform known by exactly this PCK chain under this generation, else a newly proven one. */
  private provePlatform(sheet: VerifySheet, generation: CollateralGeneration, quote: ParsedQuote): ProvenPlatform {
    const chain = sheet.begin('pck.chain', () => pckChainBytes(quote, generation.parsed.pckChainPem));
    const index = `${generation.id} ${latin1(chain.subarray(0, CHAIN_INDEX_BYTES))}`;
    const known = this.platforms.find(index, chain);
    if (known !== undefined) {
      known.adopt(sheet);
      return known;
    }
    const platform = ProvenPlatform.prove(sheet, generation, chain);
    this.platforms.keep(index, chain, platform);
    return platform;
  }

  private brand(quote: ParsedQuote, platform: ProvenPlatform, tcb: VerifiedQuote['tcb'], now: Date): VerifiedQuote {
    const { generation, window } = platform;
    const given = this.anchors.get(generation.trustAnchor) ?? generation.trustAnchor;
    const facts = {
      quote,
      tcb,
      // Results are the caller's to keep and to change; what is cached is not.
      pck: copyExtension(platform.extension),
      pckCa: platform.ca,
      debug: isDebug(quote),
      trustAnchor: given,
      verifiedAt: now,
      notBefore: window.notBefore,
      notAfter: window.notAfter,
    };
    // The stage brand exists only in the type system; this is the one place that gives it.
    return facts as unknown as VerifiedQuote;
  }
}

/** Step 5. */
function requireModule(
  sheet: VerifySheet,
  { report }: ParsedQuote,
  { parsed }: CollateralGeneration,
): ModuleMatch | null {
  if (report.kind === 'sgx') {
    sheet.skip('tdx.module', 'an SGX quote has no TDX module');
    return null;
  }
  return sheet.step(
    'tdx.module',
    () => matchModule(report, parsed.tcbInfo),
    ({ identity, level }) =>
      level === null ? 'original module' : `${identity?.id} SVN ${level.isvSvn} ${level.status}`,
  );
}

function isDebug({ report }: ParsedQuote): boolean {
  if (report.kind === 'sgx') return ((report.attributes[0] ?? 0) & SGX_DEBUG) !== 0;
  return ((report.tdAttributes[0] ?? 0) & TD_DEBUG) !== 0;
}

/** One character per byte: exact, unlike a digest. */
function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}
