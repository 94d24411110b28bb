import { isZero } from '../bytes.js';
import { snpDeviceId } from '../measurements/index.js';
import {
  appraiseSnp,
  parseSnpReport,
  type SnpAppraisalPolicy,
  type SnpCollateral,
  type SnpTrustAnchor,
  type VerifiedSnpReport,
  verifySnpReport,
} from '../snp/index.js';
import type { EvidenceFacts, EvidenceVerifier } from './evidence-verifier.js';

/** An SEV-SNP report with its certificates. */
export interface SnpEvidence extends SnpCollateral {
  readonly report: Uint8Array;
}

/** AMD SEV-SNP behind the common interface: `parseSnpReport`, `verifySnpReport`, `appraiseSnp`. */
export function snpEvidenceVerifier(
  options: { readonly trustAnchors?: readonly SnpTrustAnchor[] } = {},
): EvidenceVerifier<SnpEvidence, SnpAppraisalPolicy> {
  return {
    verify(evidence, now) {
      const parsed = parseSnpReport(evidence.report);
      if (!parsed.ok) return parsed;
      const verified = verifySnpReport(parsed.report, evidence, { ...options, now });
      const checks = [...parsed.checks, ...verified.checks];
      if (!verified.ok) return { ...verified, checks };
      const facts = readFacts(verified.report);
      const appraiseReport = (policy: SnpAppraisalPolicy) => {
        const appraised = appraiseSnp(verified.report, policy);
        return appraised.ok
          ? ({ ok: true, facts, unsafe: appraised.evidence.unsafe, checks: appraised.checks } as const)
          : appraised;
      };
      return { ok: true, verified: { facts, appraise: appraiseReport }, checks };
    },
  };
}

function readFacts(verified: VerifiedSnpReport): EvidenceFacts {
  const { report, tcb, debug, trustAnchor, verifiedAt, notBefore, notAfter } = verified;
  const { measurement, hostData, familyId, imageId, idKeyDigest, authorKeyDigest } = report;
  const { name, fingerprint } = trustAnchor;
  return {
    kind: 'sev-snp',
    reportData: report.reportData,
    measurements: { measurement, hostData, familyId, imageId, idKeyDigest, authorKeyDigest },
    // AMD publishes no advisories by TCB level, so that none are known, not that none apply.
    tcb: { status: tcb.status, advisoryIds: [] },
    debug,
    deviceId: isZero(report.chipId) ? null : snpDeviceId(report.chipId),
    trustAnchor: { name, fingerprint },
    verifiedAt,
    notBefore,
    notAfter,
  };
}
