import type { Check } from '../check.js';
import type { AppraiseEvidenceResult, EvidenceVerifier } from './evidence-verifier.js';

/** Evidence and policy types by kind; a program lists the kinds it knows in one such type. */
export type EvidenceKinds = Readonly<Record<string, { readonly evidence: unknown; readonly policy: unknown }>>;

/** Tagged union of the evidence of these kinds. */
export type Evidence<Kinds extends EvidenceKinds> = {
  [Kind in keyof Kinds & string]: { readonly kind: Kind } & Kinds[Kind]['evidence'];
}[keyof Kinds & string];

export type EvidenceVerifiers<Kinds extends EvidenceKinds> = {
  readonly [Kind in keyof Kinds & string]: EvidenceVerifier<Kinds[Kind]['evidence'], Kinds[Kind]['policy']>;
};

/** A kind without a policy is refused. */
export type EvidencePolicies<Kinds extends EvidenceKinds> = {
  readonly [Kind in keyof Kinds & string]?: Kinds[Kind]['policy'];
};

/**
 * Verifies evidence with the verifier of its kind and judges it by the policy of its kind; the checks of both steps are in
 * the result, in order. Codes besides the platform's own: `EVIDENCE_KIND` (no verifier), `EVIDENCE_POLICY` (no policy).
 */
export function verifyEvidence<Kinds extends EvidenceKinds>(
  verifiers: EvidenceVerifiers<Kinds>,
  policies: EvidencePolicies<Kinds>,
  evidence: Evidence<Kinds>,
  now: Date,
): AppraiseEvidenceResult {
  // Outside data may name any kind, whatever the types say.
  const kind: keyof Kinds & string = evidence.kind;
  if (!Object.hasOwn(verifiers, kind)) return refuse('EVIDENCE_KIND', `evidence of kind "${kind}" is not supported`);
  const policy = Object.hasOwn(policies, kind) ? policies[kind] : undefined;
  if (policy === undefined) return refuse('EVIDENCE_POLICY', `the policy does not allow evidence of kind "${kind}"`);
  const verified = verifiers[kind].verify(evidence, now);
  if (!verified.ok) return verified;
  const appraised = verified.verified.appraise(policy);
  return { ...appraised, checks: [...verified.checks, ...appraised.checks] };
}

function refuse(code: string, detail: string): AppraiseEvidenceResult {
  const failed: Check = { name: 'evidence.kind', outcome: 'fail', detail: detail.slice(0, 200) };
  return { ok: false, code, failed, checks: [failed] };
}
