import { parseQuote } from '../abi/parse-quote.js';
import type { ParsedQuote } from '../abi/parsed-quote.js';
import { APPRAISE_CHECKS, appraise } from '../appraise/appraise.js';
import type { AppraisedEvidence } from '../appraise/appraised-evidence.js';
import type { AppraisalPolicy } from '../appraise/policy.js';
import { unsafeNames } from '../appraise/unsafe-names.js';
import { equalBytes, toHex } from '../bytes.js';
import type { Check, Refused } from '../check.js';
import type { CollateralSource } from '../collateral/collateral-source.js';
import { CollateralUnavailableError } from '../collateral/collateral-unavailable-error.js';
import type { QuoteCollateralV3 } from '../collateral/quote-collateral.js';
import { identityFromEventLog } from '../event-log/identity.js';
import { ratlsReportData } from '../report-data/report-data.js';
import { TCB_STATUSES } from '../verify/tcb-status.js';
import type { TrustAnchor } from '../verify/trust-anchor.js';
import type { VerifiedQuote } from '../verify/verified-quote.js';
import { VERIFY_CHECKS } from '../verify/verify-checks.js';
import { verifyParsedQuote } from '../verify/verify-parsed-quote.js';
import type { AttestationEvidence } from './attestation-evidence.js';
import { bindLog, rawEvents } from './bind-log.js';
import type { EvidencePolicy } from './evidence-policy.js';
import type { Examination, ExaminationFacts } from './examination.js';
import { EXAMINATION_CHECKS } from './examination-checks.js';
import { judgeIdentity } from './judge-identity.js';
import { type OsImageRule, osImageRule } from './os-image.js';

export interface ExamineOptions {
  readonly collateral: CollateralSource;
  /** Evaluation time. */
  readonly now: Date;
  /** Default: the pinned Intel root alone. */
  readonly trustAnchors?: readonly TrustAnchor[];
  /** Default: the empty policy, which is the strictest. */
  readonly policy?: EvidencePolicy;
  /** How boot measurements are judged; default: `osImageRule()`, which has no source of image files. */
  readonly osImage?: OsImageRule;
}

/**
 * Facts are gathered also about a quote that the policy denies, so that a report says everything at once. It decides
 * nothing: the verdict comes from the caller's policy alone.
 */
const FACTS_POLICY: AppraisalPolicy = {
  unsafeAcceptedStatuses: TCB_STATUSES,
  unsafeDebugAccepted: true,
  unsafeSeptVeNotRequired: true,
  unsafeServiceTdAccepted: true,
  unsafeTrustAnchorAccepted: true,
};

/**
 * Examines evidence from its bytes to the guest's identity: format, collateral, signatures and TCB, policy, binding of the
 * certificate key, event log, identity, OS image, and what the policy demands of them. Each check is reported once.
 * @throws CollateralUnavailableError when the collateral cannot be had: no verdict is possible then
 */
export async function examineEvidence(evidence: AttestationEvidence, options: ExamineOptions): Promise<Examination> {
  return new Examiner(evidence, options).run();
}

const DETAIL_MAX = 2000;

class Examiner {
  private readonly checks: Check[] = [];
  private refusal: { readonly failed: Check; readonly code: string } | null = null;
  private denialCode = 'POLICY_IDENTITY';
  private facts: ExaminationFacts;

  constructor(
    private readonly evidence: AttestationEvidence,
    private readonly options: ExamineOptions,
  ) {
    this.facts = {
      evidence,
      quote: null,
      collateral: null,
      verified: null,
      tcbStatus: null,
      log: null,
      identity: null,
      osImage: null,
      policy: options.policy ?? {},
      unsafe: unsafeNames(options.policy ?? {}),
      examinedAt: options.now,
    };
  }

  async run(): Promise<Examination> {
    const verified = await this.verify();
    if (verified !== null) {
      const appraised = this.appraise(verified);
      this.bindCertificate(verified);
      if (appraised !== null) this.readLog(appraised);
      await this.judgeImage(appraised);
      for (const check of judgeIdentity(this.policy, this.facts)) this.checks.push(check);
    }
    return this.conclude();
  }

  private get policy(): EvidencePolicy {
    return this.options.policy ?? {};
  }

  private async verify(): Promise<VerifiedQuote | null> {
    const parsed = parseQuote(this.evidence.quote);
    if (!parsed.ok) return this.refuse(parsed);
    this.checks.push(...parsed.checks);
    this.learn({ quote: parsed.quote });
    const collateral = await this.collateralFor(parsed.quote);
    if (collateral === null) return null;
    const { now, trustAnchors } = this.options;
    const anchors = trustAnchors === undefined ? {} : { trustAnchors };
    const result = verifyParsedQuote(parsed.quote, collateral, { now, ...anchors });
    if (!result.ok) {
      this.learn({ tcbStatus: result.tcbStatus });
      return this.refuse(result);
    }
    this.checks.push(...result.checks);
    this.learn({ verified: result.quote, tcbStatus: result.quote.tcb.status });
    return result.quote;
  }

  private async collateralFor(quote: ParsedQuote): Promise<QuoteCollateralV3 | null> {
    try {
      const collateral = await this.options.collateral.collateralFor(quote);
      this.checks.push({ name: 'collateral.available', outcome: 'pass', detail: 'for the platform of the quote' });
      this.learn({ collateral });
      return collateral;
    } catch (error) {
      if (!(error instanceof CollateralUnavailableError) || error.endpoints.length > 0 || error.retryable) throw error;
      // No endpoint was asked: the quote itself names no platform.
      const failed = { name: 'collateral.available', outcome: 'fail', detail: error.message } as const;
      return this.refuse({ ok: false, failed, checks: [failed], code: 'PCK_CHAIN_UNREADABLE' });
    }
  }

  /** Evidence for the later stages: under the caller's policy, else under the one that only gathers facts. */
  private appraise(verified: VerifiedQuote): AppraisedEvidence | null {
    const decided = appraise(verified, this.policy);
    this.checks.push(...decided.checks);
    if (decided.ok) return decided.evidence;
    this.denialCode = decided.code;
    const facts = appraise(verified, { ...FACTS_POLICY, tee: verified.quote.header.tee });
    return facts.ok ? facts.evidence : null;
  }

  private bindCertificate(verified: VerifiedQuote): void {
    const { certificateKey } = this.evidence;
    const name = 'ratls.key-binding';
    if (certificateKey === null) {
      this.checks.push({ name, outcome: 'skipped', detail: 'the evidence did not come in a certificate' });
      return;
    }
    const expected = ratlsReportData(certificateKey);
    if (equalBytes(expected, verified.quote.report.reportData)) {
      this.checks.push({ name, outcome: 'pass', detail: "the report data binds the certificate's key" });
      return;
    }
    const is = toHex(verified.quote.report.reportData);
    const detail = `the report data is ${is}, the certificate's key gives ${toHex(expected)}`;
    const failed = { name, outcome: 'fail', detail } as const;
    this.refuse({ ok: false, failed, checks: [failed], code: 'RATLS_KEY_MISMATCH' });
  }

  private readLog(appraised: AppraisedEvidence): void {
    const bound = bindLog(appraised, this.evidence);
    if (!bound.ok) {
      this.refuse(bound);
      return;
    }
    this.checks.push(...bound.checks);
    if (bound.log === null) return;
    this.learn({ log: bound.log });
    const identity = identityFromEventLog(bound.log);
    if (!identity.ok) {
      this.refuse(identity);
      return;
    }
    this.checks.push(...identity.checks);
    this.learn({ identity: identity.identity });
  }

  private async judgeImage(appraised: AppraisedEvidence | null): Promise<void> {
    const { vmConfig } = this.evidence;
    const name = 'os-image.measurement';
    const skip = (detail: string): void => void this.checks.push({ name, outcome: 'skipped', detail });
    if (vmConfig === null) return skip('the evidence has no vm_config');
    if (appraised === null) return skip('not reached: the TD has reserved attributes');
    if (appraised.verified.quote.report.kind === 'sgx') return skip('an SGX enclave boots no image');
    const events = rawEvents(this.evidence);
    const osImage = await (this.options.osImage ?? osImageRule())({ appraised, vmConfig, events });
    this.learn({ osImage });
    this.checks.push(...osImage.checks);
    const check = { name, outcome: osImage.outcome, detail: osImage.detail.slice(0, DETAIL_MAX) };
    if (osImage.outcome === 'fail') {
      this.refuse({ ok: false, failed: check, checks: [check], code: 'OS_IMAGE_MISMATCH' });
      return;
    }
    this.checks.push(check);
  }

  private learn(facts: Partial<ExaminationFacts>): void {
    this.facts = { ...this.facts, ...facts };
  }

  /** The first refusal decides; later ones are listed too. */
  private refuse({ checks, failed, code }: Refused): null {
    this.checks.push(...checks);
    this.refusal ??= { failed, code };
    return null;
  }

  private conclude(): Examination {
    const denied = this.checks.find(({ outcome }) => outcome === 'fail');
    const decisive = this.refusal?.failed ?? denied ?? null;
    return {
      verdict: this.refusal !== null ? 'refused' : denied !== undefined ? 'denied' : 'accepted',
      checks: completed(this.checks, decisive),
      failed: decisive,
      code: this.refusal?.code ?? (denied === undefined ? null : this.denialCode),
      facts: this.facts,
    };
  }
}

/** Every check by name, in order; what was not reached says why. Checks of no fixed list come last. */
function completed(done: readonly Check[], decisive: Check | null): readonly Check[] {
  const byName = new Map(done.map((check) => [check.name, check]));
  const order = ['quote.format', 'collateral.available', ...VERIFY_CHECKS, ...APPRAISE_CHECKS, ...EXAMINATION_CHECKS];
  const why = decisive === null ? 'not reached' : `not reached: ${decisive.name} failed`;
  const listed = order.map((name) => byName.get(name) ?? { name, outcome: 'skipped' as const, detail: why });
  return [...listed, ...done.filter(({ name }) => !order.includes(name))];
}
