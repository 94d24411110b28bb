import { readTdAttributes } from '../appraise/td-attributes.js';
import { isZero } from '../bytes.js';
import type { Examination } from '../evidence/examination.js';
import { INTEL_SGX_ROOT } from '../verify/trust-anchor.js';

/** Claims of draft-ietf-rats-ar4si-10 §2.3, each from -128 to 127; those about which nothing was examined are absent. */
export interface TrustVector {
  readonly 'instance-identity'?: number;
  readonly configuration?: number;
  readonly executables?: number;
  readonly hardware?: number;
  readonly 'runtime-opaque'?: number;
}

export type TrustTier = 'none' | 'affirming' | 'warning' | 'contraindicated';

/** Values of the claims used here, as AR4SI names them. */
const VALUE = {
  affirming: 2,
  /** executables: recognised as far as boot goes. */
  recognisedBoot: 3,
  /** hardware: genuine with known vulnerabilities; configuration: with known vulnerabilities; memory: visible to root. */
  warning: 32,
  /** executables: not recognised. */
  unrecognised: 33,
  contraindicated: 96,
  /** The cryptographic validation of the evidence failed. */
  cryptography: 99,
} as const;

/**
 * The vector of an examination. Anything accepted only through a weakening is at most a warning; claims that rest on
 * reference values appear only when the policy named such values or the image was judged.
 */
export function trustVector(examination: Examination): TrustVector {
  const { facts, verdict } = examination;
  const { verified } = facts;
  if (verified === null) {
    return { hardware: facts.tcbStatus === 'Revoked' ? VALUE.contraindicated : VALUE.cryptography };
  }
  if (verdict === 'refused') {
    return { hardware: hardware(examination), executables: VALUE.cryptography };
  }
  const executables = executablesOf(examination);
  const identity = identityOf(examination);
  return {
    ...(identity === null ? {} : { 'instance-identity': identity }),
    configuration: configurationOf(examination),
    ...(executables === null ? {} : { executables }),
    hardware: hardware(examination),
    'runtime-opaque': memoryOf(examination),
  };
}

/** The worst tier of the vector; contraindicated whenever the evidence was not accepted. */
export function trustTier(vector: TrustVector, { verdict }: Examination): TrustTier {
  if (verdict !== 'accepted') return 'contraindicated';
  const tiers = Object.values(vector).map(tierOf);
  const worst = (['contraindicated', 'warning', 'none', 'affirming'] as const).find((tier) => tiers.includes(tier));
  return worst ?? 'none';
}

function tierOf(value: number): TrustTier {
  if (value >= 96 || value <= -97) return 'contraindicated';
  if (value >= 32 || value <= -33) return 'warning';
  return value >= 2 || value <= -2 ? 'affirming' : 'none';
}

function passed({ checks }: Examination, name: string): boolean {
  return checks.some((check) => check.name === name && check.outcome === 'pass');
}

function failed({ checks }: Examination, name: string): boolean {
  return checks.some((check) => check.name === name && check.outcome === 'fail');
}

function hardware(examination: Examination): number {
  const { verified } = examination.facts;
  if (verified === null || failed(examination, 'policy.trust-anchor')) return VALUE.contraindicated;
  const intel = verified.trustAnchor.fingerprint === INTEL_SGX_ROOT.fingerprint;
  return verified.tcb.status === 'UpToDate' && intel ? VALUE.affirming : VALUE.warning;
}

function configurationOf({ facts: { verified } }: Examination): number {
  if (verified === null || verified.debug) return VALUE.contraindicated;
  const { report } = verified.quote;
  if (report.kind === 'sgx') return VALUE.affirming;
  const { septVeDisable, reserved, untrusted } = readTdAttributes(report.tdAttributes);
  const serviceTd = report.mrServiceTd !== null && !isZero(report.mrServiceTd);
  return septVeDisable && !serviceTd && reserved === '' && untrusted === '' ? VALUE.affirming : VALUE.warning;
}

function executablesOf(examination: Examination): number | null {
  if (failed(examination, 'policy.compose-hash') || failed(examination, 'policy.references')) return VALUE.unrecognised;
  if (failed(examination, 'policy.os-image-hash')) return VALUE.unrecognised;
  const { osImage } = examination.facts;
  if (osImage?.isProcessGuest === true) return VALUE.warning;
  const bootKnown = passed(examination, 'policy.references') || passed(examination, 'policy.os-image-hash');
  if (!bootKnown) return null;
  return passed(examination, 'policy.compose-hash') ? VALUE.affirming : VALUE.recognisedBoot;
}

function identityOf(examination: Examination): number | null {
  const names = ['policy.app-id', 'policy.instance-id', 'policy.device-id'];
  if (names.some((name) => failed(examination, name))) return 97;
  return names.some((name) => passed(examination, name)) ? VALUE.affirming : null;
}

function memoryOf({ facts: { verified, osImage } }: Examination): number {
  if (verified?.debug === true) return VALUE.contraindicated;
  return osImage?.isProcessGuest === true ? VALUE.warning : VALUE.affirming;
}
