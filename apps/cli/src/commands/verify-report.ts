import type { KeyObject } from 'node:crypto';
import { type Examination, earClaims, keyProvider, signEar } from '@vouch/attestation';
import type { Check } from '@vouch/domain';
import { CliFailure, exitCodes } from '../failure.js';
import { note, print } from '../output.js';

/** What is known in the end, from whichever source. */
export interface Verification {
  /** What was verified, as JSON names it: `{"instance": …}`, `{"file": …}` or `{"url": …}`. */
  readonly subject: Readonly<Record<string, string>>;
  /** Checks outside the examination: how the evidence was come by. */
  readonly before: readonly Check[];
  readonly examination: Examination | null;
}

export interface EarRequest {
  readonly key: KeyObject;
  readonly nonce: Uint8Array | undefined;
}

const VERIFIER = { developer: 'Vouch', build: 'vouch 0.1.0' } as const;
/** The one check outside the examination whose failure is a decision, not a defect. */
const GRANT_OUTCOME = 'grant.outcome';

/** Every check of a verification, in order. */
function allChecks({ before, examination }: Verification): readonly Check[] {
  return [...before, ...(examination?.checks ?? [])];
}

/** Exit code: 5 when a policy or the KMS denied it, 2 when something is wrong with the evidence, else 0. */
export function exitCodeOf(verification: Verification): number {
  const { before, examination } = verification;
  if (before.some(({ name, outcome }) => name === GRANT_OUTCOME && outcome === 'fail')) return exitCodes.denied;
  const broken = before.some(({ name, outcome }) => outcome === 'fail' && !name.startsWith('kms:'));
  if (broken || examination?.verdict === 'refused') return exitCodes.badEvidence;
  return examination?.verdict === 'denied' ? exitCodes.denied : exitCodes.ok;
}

export function printTable(verification: Verification): void {
  for (const check of allChecks(verification)) {
    print(`${check.outcome.padEnd(7)} ${check.name.padEnd(36)} ${check.detail}`);
  }
  const { examination } = verification;
  if (examination === null) return;
  const { verdict, failed, code, facts } = examination;
  print('');
  print(failed === null ? `verdict  ${verdict}` : `verdict  ${verdict}: ${failed.name} (${code ?? '-'})`);
  if (facts.unsafe.length > 0) note(`weakened by: ${facts.unsafe.join(', ')}`);
}

export function printJson(verification: Verification): void {
  const { subject, examination } = verification;
  const code = exitCodeOf(verification);
  const facts =
    examination === null ? {} : { verdict: examination.verdict, code: examination.code, facts: factsOf(examination) };
  const checks = allChecks(verification);
  print(JSON.stringify({ ...subject, ok: code === exitCodes.ok, ...facts, checks }, null, 2));
}

/** The signed result; the exit code says the same as in the other forms. */
export function printEar({ examination }: Verification, { key, nonce }: EarRequest): void {
  if (examination === null) {
    throw new CliFailure(exitCodes.badEvidence, 'there is no examined evidence to make an attestation result of');
  }
  const options = { issuedAt: new Date(), verifier: VERIFIER, ...(nonce === undefined ? {} : { nonce }) };
  print(signEar(earClaims(examination, options), key));
}

function factsOf({ facts }: Examination): Readonly<Record<string, unknown>> {
  const { verified, tcbStatus, identity, osImage, unsafe, examinedAt } = facts;
  const provider = keyProvider(identity?.keyProviderInfo);
  return {
    examinedAt: examinedAt.toISOString(),
    unsafe,
    tcbStatus,
    ...(verified === null
      ? {}
      : {
          advisoryIds: verified.tcb.advisoryIds,
          tcbDate: verified.tcb.tcbDate,
          tcbEvaluationDataNumber: verified.tcb.evaluationDataNumber,
          fmspc: verified.pck.fmspc,
          trustAnchor: verified.trustAnchor.fingerprint,
          collateralNotAfter: verified.notAfter.toISOString(),
          reportData: Buffer.from(verified.quote.report.reportData).toString('hex'),
        }),
    ...(identity === null
      ? {}
      : { appId: identity.appId, composeHash: identity.composeHash, instanceId: identity.instanceId }),
    ...(osImage === null || osImage.osImageHash === null ? {} : { osImageHash: osImage.osImageHash }),
    ...(provider === null ? {} : { keyProvider: provider }),
  };
}
