import { hashBytes, toHex } from '../bytes.js';
import type { EvidencePolicy } from '../evidence/evidence-policy.js';
import type { Examination } from '../evidence/examination.js';
import { policyText } from '../evidence/policy-text.js';
import { type TrustTier, trustTier, trustVector } from './trust-vector.js';

export const EAR_PROFILE = 'tag:ietf.org,2026:rats/ear#04';

export interface EarOptions {
  /** When the result is issued. */
  readonly issuedAt: Date;
  /** Default 3600. */
  readonly lifetimeSeconds?: number;
  /** `ear_verifier_id`: who made the verifier, and which build it is. */
  readonly verifier: { readonly developer: string; readonly build: string };
  /** Echoed nonce of whoever asked, 8 to 64 bytes. */
  readonly nonce?: Uint8Array;
}

/** Claims set of an EAT Attestation Result (draft-ietf-rats-ear-04 §3), JSON serialisation. */
export interface EarClaims {
  readonly eat_profile: typeof EAR_PROFILE;
  readonly iat: number;
  readonly exp: number;
  readonly ear_status: TrustTier;
  readonly ear_verifier_id: { readonly developer: string; readonly build: string };
  readonly eat_nonce?: string;
  readonly submods: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/** Label of the one attester: the kind of TEE, as documented in the README. */
const LABELS = { TDX: 'tdx', SGX: 'sgx' } as const;
const DEFAULT_LIFETIME_SECONDS = 3600;

/** @throws RangeError when the nonce is not 8 to 64 bytes */
export function earClaims(examination: Examination, options: EarOptions): EarClaims {
  const { issuedAt, lifetimeSeconds, verifier, nonce } = options;
  if (nonce !== undefined && (nonce.length < 8 || nonce.length > 64)) {
    throw new RangeError(`an EAT nonce has 8 to 64 bytes, not ${nonce.length}`);
  }
  const vector = trustVector(examination);
  const status = trustTier(vector, examination);
  const iat = Math.floor(issuedAt.getTime() / 1000);
  const label = LABELS[examination.facts.quote?.header.tee ?? 'TDX'];
  return {
    eat_profile: EAR_PROFILE,
    iat,
    exp: iat + (lifetimeSeconds ?? DEFAULT_LIFETIME_SECONDS),
    ear_status: status,
    ear_verifier_id: verifier,
    ...(nonce === undefined ? {} : { eat_nonce: base64url(nonce) }),
    submods: {
      [label]: {
        ear_status: status,
        ear_trustworthiness_vector: vector,
        ear_appraisal_policy_ids: [policyId(examination.facts.policy)],
        ear_attester_claims: attesterClaims(examination),
        ear_verifier_claims: verifierClaims(examination),
      },
    },
  };
}

/** RFC 6920 name of the policy's fixed text: two results have the same one exactly when the same policy decided. */
function policyId(policy: EvidencePolicy): string {
  return `ni:///sha-256;${base64url(hashBytes('sha256', Buffer.from(policyText(policy), 'utf8')))}`;
}

/** What the evidence says and the quote binds. */
function attesterClaims({ facts: { verified, identity, osImage } }: Examination): Readonly<Record<string, unknown>> {
  if (verified === null) return {};
  const { report, header } = verified.quote;
  const measured =
    report.kind === 'sgx'
      ? { mr_enclave: toHex(report.mrEnclave), mr_signer: toHex(report.mrSigner) }
      : {
          mr_td: toHex(report.mrTd),
          rtmr0: toHex(report.rtMr0),
          rtmr1: toHex(report.rtMr1),
          rtmr2: toHex(report.rtMr2),
          rtmr3: toHex(report.rtMr3),
          mr_config_id: toHex(report.mrConfigId),
        };
  const guest =
    identity === null
      ? {}
      : { app_id: identity.appId, compose_hash: identity.composeHash, instance_id: identity.instanceId };
  return {
    tee: header.tee,
    ...measured,
    report_data: toHex(report.reportData),
    debug: verified.debug,
    ...guest,
    ...(osImage?.osImageHash == null ? {} : { os_image_hash: osImage.osImageHash }),
  };
}

/** How the verdict came about. */
function verifierClaims({ verdict, code, checks, facts }: Examination): Readonly<Record<string, unknown>> {
  const { verified, tcbStatus, unsafe, examinedAt } = facts;
  return {
    verdict,
    ...(code === null ? {} : { code }),
    evaluated_at: examinedAt.toISOString(),
    unsafe,
    ...(tcbStatus === null ? {} : { tcb_status: tcbStatus }),
    ...(verified === null
      ? {}
      : {
          advisory_ids: verified.tcb.advisoryIds,
          tcb_date: verified.tcb.tcbDate,
          tcb_evaluation_data_number: verified.tcb.evaluationDataNumber,
          fmspc: verified.pck.fmspc,
          trust_anchor: verified.trustAnchor.fingerprint,
          collateral_not_after: verified.notAfter.toISOString(),
        }),
    checks: checks.map(({ name, outcome, detail }) => ({ name, outcome, detail })),
  };
}

function base64url(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url');
}
