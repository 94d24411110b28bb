import { describe, expect, it } from 'vitest';
import { toHex } from '../bytes.js';
import { SNP_APPRAISE_CHECKS, SNP_VERIFY_CHECKS, type SnpAppraisalPolicy } from '../snp/index.js';
import { TestPlatform } from '../testing/test-platform.js';
import { SNP_NOW, TestSnpPlatform } from '../testing/test-snp-platform.js';
import { type DcapEvidence, type DcapPolicy, dcapEvidenceVerifier } from './dcap-evidence.js';
import type { EvidenceVerifier } from './evidence-verifier.js';
import { type SnpEvidence, snpEvidenceVerifier } from './snp-evidence.js';
import { type EvidencePolicies, type EvidenceVerifiers, verifyEvidence } from './verify-evidence.js';

const tdx = new TestPlatform();
const snp = new TestSnpPlatform();

/** A kind that does not exist yet is added without a change to the interface. */
interface NoteEvidence {
  readonly note: string;
}
interface NotePolicy {
  readonly allowed: readonly string[];
}
const noteVerifier: EvidenceVerifier<NoteEvidence, NotePolicy> = {
  verify({ note }, now) {
    const check = { name: 'note.text', outcome: 'pass', detail: note } as const;
    const facts = {
      kind: 'note',
      reportData: Buffer.from(note),
      measurements: {},
      tcb: null,
      debug: false,
      deviceId: null,
      trustAnchor: { name: 'nobody', fingerprint: '' },
      verifiedAt: now,
      notBefore: now,
      notAfter: now,
    };
    const appraise = ({ allowed }: NotePolicy) => {
      const holds = allowed.includes(note);
      const verdict = { name: 'policy.note', outcome: holds ? 'pass' : 'fail', detail: note } as const;
      return holds
        ? ({ ok: true, facts, unsafe: [], checks: [verdict] } as const)
        : ({ ok: false, code: 'POLICY_NOTE', failed: verdict, checks: [verdict] } as const);
    };
    return { ok: true, verified: { facts, appraise }, checks: [check] };
  },
};

type Kinds = {
  tdx: { evidence: DcapEvidence; policy: DcapPolicy };
  sgx: { evidence: DcapEvidence; policy: DcapPolicy };
  'sev-snp': { evidence: SnpEvidence; policy: SnpAppraisalPolicy };
  note: { evidence: NoteEvidence; policy: NotePolicy };
};

const verifiers: EvidenceVerifiers<Kinds> = {
  tdx: dcapEvidenceVerifier('tdx', { trustAnchors: [tdx.trustAnchor] }),
  sgx: dcapEvidenceVerifier('sgx', { trustAnchors: [tdx.trustAnchor] }),
  'sev-snp': snpEvidenceVerifier({ trustAnchors: [snp.trustAnchor] }),
  note: noteVerifier,
};
const policies: EvidencePolicies<Kinds> = {
  tdx: { unsafeTrustAnchorAccepted: true },
  sgx: { unsafeTrustAnchorAccepted: true },
  'sev-snp': { unsafeTrustAnchorAccepted: true, unsafeMinimumTcbNotRequired: true },
  note: { allowed: ['yes'] },
};
const quote = { quote: tdx.quote(), collateral: tdx.collateral() };
const report = {
  report: snp.report(),
  certificates: [snp.vcekDer, snp.askDer],
  revocationList: snp.revocationList(),
};

describe('verifyEvidence', () => {
  it('TDX and SEV-SNP in one shape', () => {
    const onTdx = verifyEvidence(verifiers, policies, { kind: 'tdx', ...quote }, SNP_NOW);
    const onSnp = verifyEvidence(verifiers, policies, { kind: 'sev-snp', ...report }, SNP_NOW);
    if (!onTdx.ok || !onSnp.ok) throw new Error('both are good');
    expect(onTdx.facts).toMatchObject({ kind: 'tdx', tcb: { status: 'UpToDate' }, debug: false });
    expect(onSnp.facts).toMatchObject({ kind: 'sev-snp', tcb: { status: 'UpToDate' }, debug: false });
    for (const { facts, unsafe } of [onTdx, onSnp]) {
      expect(toHex(facts.reportData)).toBe('42'.repeat(64));
      expect(facts.deviceId).toHaveLength(32);
      expect(facts.notBefore <= SNP_NOW && SNP_NOW <= facts.notAfter).toBe(true);
      expect(unsafe).toContain('unsafeTrustAnchorAccepted');
    }
    expect(Object.keys(onTdx.facts.measurements)).toContain('rtMr3');
    expect(Object.keys(onSnp.facts.measurements)).toContain('measurement');
    expect(onSnp.checks.map((check) => check.name)).toEqual([
      'report.format',
      ...SNP_VERIFY_CHECKS,
      ...SNP_APPRAISE_CHECKS,
    ]);
  });

  it('a platform that is not known today', () => {
    expect(verifyEvidence(verifiers, policies, { kind: 'note', note: 'yes' }, SNP_NOW)).toMatchObject({ ok: true });
    expect(verifyEvidence(verifiers, policies, { kind: 'note', note: 'no' }, SNP_NOW)).toMatchObject({
      code: 'POLICY_NOTE',
    });
  });

  it('every stage can refuse, and all checks so far are in the result', () => {
    const debug = tdx.quote({ tdAttributes: '0100001000000000' });
    const judge = (evidence: DcapEvidence) =>
      verifyEvidence(verifiers, policies, { kind: 'tdx', ...evidence }, SNP_NOW);
    expect(judge({ ...quote, quote: new Uint8Array(9) })).toMatchObject({ ok: false, code: 'QUOTE_TRUNCATED' });
    expect(judge({ ...quote, collateral: tdx.collateral({ revoked: ['pck'] }) })).toMatchObject({
      code: 'CERTIFICATE_REVOKED',
    });
    const refused = judge({ ...quote, quote: debug });
    expect(refused).toMatchObject({ ok: false, code: 'POLICY_DEBUG' });
    expect(refused.checks[0]?.name).toBe('quote.format');
    const snpCase = { kind: 'sev-snp', ...report } as const;
    expect(verifyEvidence(verifiers, policies, { ...snpCase, report: new Uint8Array(9) }, SNP_NOW)).toMatchObject({
      code: 'SNP_SIZE',
    });
    expect(verifyEvidence(verifiers, policies, { ...snpCase, certificates: [] }, SNP_NOW)).toMatchObject({
      code: 'CHAIN_FORMAT',
    });
    expect(verifyEvidence(verifiers, { ...policies, 'sev-snp': {} }, snpCase, SNP_NOW)).toMatchObject({
      code: 'POLICY_TRUST_ANCHOR',
    });
  });

  it('a TDX quote is no SGX evidence', () => {
    expect(verifyEvidence(verifiers, policies, { kind: 'sgx', ...quote }, SNP_NOW)).toMatchObject({
      ok: false,
      code: 'EVIDENCE_KIND',
    });
  });

  it('a kind without a verifier or a policy is refused, whatever its name', () => {
    for (const kind of ['nitro', 'constructor', '__proto__', '']) {
      const evidence = { ...quote, kind } as unknown as { kind: 'tdx' } & DcapEvidence;
      expect(verifyEvidence(verifiers, policies, evidence, SNP_NOW)).toMatchObject({
        ok: false,
        code: 'EVIDENCE_KIND',
      });
    }
    expect(verifyEvidence(verifiers, {}, { kind: 'tdx', ...quote }, SNP_NOW)).toMatchObject({
      code: 'EVIDENCE_POLICY',
    });
  });
});
