import { type ParsedQuote, parseQuote } from '../abi/index.js';
import { type AppraisalPolicy, appraise } from '../appraise/index.js';
import type { Check } from '../check.js';
import type { QuoteCollateralV3 } from '../collateral/index.js';
import { deviceId } from '../measurements/index.js';
import { type TrustAnchor, type VerifiedQuote, verifyParsedQuote } from '../verify/index.js';
import type { EvidenceFacts, EvidenceVerifier } from './evidence-verifier.js';

/** A DCAP quote with its collateral. */
export interface DcapEvidence {
  readonly quote: Uint8Array;
  readonly collateral: QuoteCollateralV3;
}

/** The kind of quote is fixed by the kind of evidence, not by the policy. */
export type DcapPolicy = Omit<AppraisalPolicy, 'tee'>;

const TEE = { tdx: 'TDX', sgx: 'SGX' } as const;

/** Check that the quote is of the kind the evidence claims to be. */
const KIND_CHECK = 'evidence.kind';

/** Intel TDX or SGX behind the common interface: `parseQuote`, `verifyParsedQuote`, `appraise`. */
export function dcapEvidenceVerifier(
  kind: 'tdx' | 'sgx',
  options: { readonly trustAnchors?: readonly TrustAnchor[] } = {},
): EvidenceVerifier<DcapEvidence, DcapPolicy> {
  return {
    verify({ quote, collateral }, now) {
      const parsed = parseQuote(quote);
      if (!parsed.ok) return parsed;
      const { tee } = parsed.quote.header;
      const matches = tee === TEE[kind];
      const check: Check = { name: KIND_CHECK, outcome: matches ? 'pass' : 'fail', detail: `the quote is ${tee}` };
      const before = [...parsed.checks, check];
      if (!matches) return { ok: false, code: 'EVIDENCE_KIND', failed: check, checks: before };
      const verified = verifyParsedQuote(parsed.quote, collateral, { ...options, now });
      const checks = [...before, ...verified.checks];
      if (!verified.ok) return { ok: false, code: verified.code, failed: verified.failed, checks };
      const facts = readFacts(kind, verified.quote);
      const appraiseQuote = (policy: DcapPolicy) => {
        const appraised = appraise(verified.quote, { ...policy, tee: TEE[kind] });
        return appraised.ok
          ? ({ ok: true, facts, unsafe: appraised.evidence.unsafe, checks: appraised.checks } as const)
          : appraised;
      };
      return { ok: true, verified: { facts, appraise: appraiseQuote }, checks };
    },
  };
}

function readFacts(kind: string, verified: VerifiedQuote): EvidenceFacts {
  const { tcb, debug, trustAnchor, verifiedAt, notBefore, notAfter, quote, pck } = verified;
  const { name, fingerprint } = trustAnchor;
  return {
    kind,
    reportData: quote.report.reportData,
    measurements: readMeasurements(quote.report),
    tcb: { status: tcb.status, advisoryIds: tcb.advisoryIds },
    debug,
    deviceId: deviceId(pck.ppid),
    trustAnchor: { name, fingerprint },
    verifiedAt,
    notBefore,
    notAfter,
  };
}

function readMeasurements(report: ParsedQuote['report']): Readonly<Record<string, Uint8Array>> {
  if (report.kind === 'sgx') {
    const { mrEnclave, mrSigner, configId } = report;
    return { mrEnclave, mrSigner, configId };
  }
  const { mrSeam, mrTd, mrConfigId, mrOwner, mrOwnerConfig, rtMr0, rtMr1, rtMr2, rtMr3, mrServiceTd } = report;
  const measurements = { mrSeam, mrTd, mrConfigId, mrOwner, mrOwnerConfig, rtMr0, rtMr1, rtMr2, rtMr3 };
  return mrServiceTd === null ? measurements : { ...measurements, mrServiceTd };
}
