import { createHash } from 'node:crypto';
import {
  type AppraisalPolicy,
  type AppraisedEvidence,
  appraise,
  type BoundEventLog,
  bindEventLog,
  CollateralUnavailableError,
  deriveMeasurements,
  type EventLogIdentity,
  identityFromEventLog,
  type ParsedQuote,
  parseQuote,
  type QuoteCollateralV3,
  QuoteVerifier,
  type TrustAnchor,
  type VerifiedQuote,
  type VerifyResult,
} from '@vouch/attestation';
import { type Check, canonicalBytes, type Evidence } from '@vouch/domain';
import type { AppraisedFacts, EvidenceOutcome, UsedCollateral } from './appraised-facts.js';
import { judgeOsImage, type ProcessGuests } from './os-image.js';

/** Where collateral comes from; CollateralClient is one. Throws CollateralUnavailableError. */
interface CollateralSource {
  collateralFor(quote: ParsedQuote): Promise<QuoteCollateralV3>;
  forget(quote: ParsedQuote): void;
}

export interface EvidenceAppraiserOptions {
  readonly collateral: CollateralSource;
  readonly trustAnchors: readonly TrustAnchor[];
  readonly policy: AppraisalPolicy;
  readonly processGuests: ProcessGuests;
  readonly now: () => Date;
}

/** What is known once a quote itself was believed. */
export type QuoteStage =
  | {
      readonly ok: true;
      readonly quote: ParsedQuote;
      readonly appraised: AppraisedEvidence;
      readonly checks: readonly Check[];
      readonly collateral: UsedCollateral;
    }
  | { readonly ok: false; readonly checks: readonly Check[]; readonly collateral: UsedCollateral | null };

/**
 * Looks at evidence alone: bytes -> ParsedQuote -> VerifiedQuote -> AppraisedEvidence -> BoundEventLog -> identity, then
 * the OS image. A refusal is a value; only collateral that may be had later throws (CollateralUnavailableError with
 * `retryable`), so that a guest is never denied because a server of ours was away.
 */
export class EvidenceAppraiser {
  /** One for the life of the service: fleets show the same platforms and collateral again and again. */
  readonly #verifier: QuoteVerifier;

  constructor(private readonly options: EvidenceAppraiserOptions) {
    this.#verifier = new QuoteVerifier({ trustAnchors: options.trustAnchors });
  }

  /** True when process guests are judged at all; only development says so. */
  get processGuests(): ProcessGuests {
    return this.options.processGuests;
  }

  async appraise(evidence: Evidence): Promise<EvidenceOutcome> {
    const stage = await this.appraiseQuote(new Uint8Array(Buffer.from(evidence.quote, 'base64')));
    if (!stage.ok) return stage;
    const { collateral: used } = stage;
    const checks: Check[] = [...stage.checks];
    const refused = (more: { readonly checks: readonly Check[] }): EvidenceOutcome => ({
      ok: false,
      checks: [...checks, ...more.checks],
      collateral: used,
    });
    const bound = bindEventLog(stage.appraised, evidence.eventLog);
    checks.push(replayCheck(bound));
    if (!bound.ok) return refused({ checks: [] });
    const identity = identityFromEventLog(bound.log);
    if (!identity.ok) return refused(identity);
    checks.push(...identity.checks);
    const image = judgeOsImage(stage.quote, evidence.vmConfig, this.options.processGuests);
    checks.push({ name: 'os-image.measurement', outcome: image.ok ? 'pass' : 'fail', detail: image.detail });
    if (!image.ok) return refused({ checks: [] });
    const facts = factsOf(stage.appraised, bound.log, identity.identity, image);
    return { ok: true, facts, checks, collateral: used };
  }

  /** The stages that need nothing but the quote: format, collateral, signatures and TCB, appraisal policy. */
  async appraiseQuote(bytes: Uint8Array): Promise<QuoteStage> {
    const checks: Check[] = [];
    const refused = (stage: { readonly checks: readonly Check[] }, used: UsedCollateral | null): QuoteStage => ({
      ok: false,
      checks: [...checks, ...stage.checks],
      collateral: used,
    });
    const parsed = parseQuote(bytes);
    if (!parsed.ok) return refused(parsed, null);
    checks.push(...parsed.checks);
    const fetched = await this.#verify(parsed.quote);
    if (!fetched.ok) return refused({ checks: [fetched.failed] }, null);
    checks.push({ name: 'collateral.available', outcome: 'pass', detail: `digest ${digestOf(fetched.collateral)}` });
    const { verified } = fetched;
    if (!verified.ok) return refused(verified, null);
    checks.push(...verified.checks);
    const used = usedCollateral(fetched.collateral, verified.quote);
    const appraised = appraise(verified.quote, this.options.policy);
    if (!appraised.ok) return refused(appraised, used);
    checks.push(...appraised.checks);
    return { ok: true, quote: parsed.quote, appraised: appraised.evidence, checks, collateral: used };
  }

  /** Verifies, and once more with fresh collateral when the cached one was what failed. */
  async #verify(
    quote: ParsedQuote,
  ): Promise<
    | { readonly ok: true; readonly verified: VerifyResult; readonly collateral: QuoteCollateralV3 }
    | { readonly ok: false; readonly failed: Check }
  > {
    const { collateral: source, now } = this.options;
    try {
      let collateral = await source.collateralFor(quote);
      let verified = this.#verifier.verifyParsed(quote, collateral, now());
      if (!verified.ok && verified.failed.name.startsWith('collateral.')) {
        source.forget(quote);
        collateral = await source.collateralFor(quote);
        verified = this.#verifier.verifyParsed(quote, collateral, now());
      }
      return { ok: true, verified, collateral };
    } catch (error) {
      if (!(error instanceof CollateralUnavailableError) || error.retryable) throw error;
      return { ok: false, failed: { name: 'collateral.available', outcome: 'fail', detail: error.message } };
    }
  }
}

/** One check for the whole replay; the register that differs is named in the detail. */
function replayCheck(bound: ReturnType<typeof bindEventLog>): Check {
  return bound.ok
    ? { name: 'event-log.replay', outcome: 'pass', detail: `${bound.log.events.length} events replay to RTMR0-3` }
    : { name: 'event-log.replay', outcome: 'fail', detail: `${bound.failed.name}: ${bound.failed.detail}` };
}

/** Digests by object: the collateral client hands out the same immutable object for every quote of a platform. */
const digests = new WeakMap<QuoteCollateralV3, string>();

function digestOf(collateral: QuoteCollateralV3): string {
  const known = digests.get(collateral);
  if (known !== undefined) return known;
  const digest = createHash('sha256').update(canonicalBytes(collateral)).digest('hex');
  digests.set(collateral, digest);
  return digest;
}

function usedCollateral(collateral: QuoteCollateralV3, quote: VerifiedQuote): UsedCollateral {
  return { digest: digestOf(collateral), fmspc: quote.pck.fmspc, collateral };
}

/** The log is asked for as proof that its replay was checked: only then is the identity one of this quote. */
function factsOf(
  evidence: AppraisedEvidence,
  _log: BoundEventLog,
  identity: EventLogIdentity,
  image: { readonly osImageHash: string; readonly isProcessGuest: boolean },
): AppraisedFacts {
  const { quote, tcb } = evidence.verified;
  const { report } = quote;
  if (report.kind === 'sgx') throw new TypeError('an SGX quote cannot have passed the OS image check');
  const measured = deriveMeasurements(report, identity.keyProviderInfo);
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
  return {
    identity,
    reportData: report.reportData,
    osImageHash: image.osImageHash,
    mrAggregated: hex(measured.mrAggregated),
    mrSystem: hex(measured.mrSystem),
    deviceId: hex(evidence.deviceId),
    tcbStatus: tcb.status,
    advisoryIds: tcb.advisoryIds,
    unsafe: [...evidence.unsafe.map(weakeningName), ...(image.isProcessGuest ? ['unsafeProcessGuest'] : [])],
  };
}

/** A foreign trust anchor has one name in the log, whether it was configured or relied on. */
export function weakeningName(name: string): string {
  return name === 'unsafeTrustAnchorAccepted' ? 'unsafeTrustAnchor' : name;
}
