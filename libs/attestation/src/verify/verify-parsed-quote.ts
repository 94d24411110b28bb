import type { ParsedQuote } from '../abi/parsed-quote.js';
import { CheckSheet } from '../check-sheet.js';
import { type ParsedCollateral, parseCollateral } from '../collateral/parse-collateral.js';
import type { QuoteCollateralV3 } from '../collateral/quote-collateral.js';
import { Refusal } from '../refusal.js';
import {
  ends,
  requireKind,
  requireNotRevoked,
  verifyDocument,
  verifyRevocationList,
  verifySigningChain,
} from './collateral-signatures.js';
import { evaluateTcb } from './evaluate-tcb.js';
import { type PckChain, readPckChain, requirePlatform, verifyCrlChain, verifyPckChain } from './pck.js';
import {
  matchQeIdentity,
  SGX_DEBUG,
  verifyQeBinding,
  verifyQeReport,
  verifyQuoteSignature,
} from './quoting-enclave.js';
import type { TcbStatus } from './tcb-status.js';
import { type ModuleMatch, matchModule } from './tdx-module.js';
import { INTEL_SGX_ROOT, type TrustAnchor } from './trust-anchor.js';
import type { TcbFacts, VerifiedQuote, VerifyOptions, VerifyResult } from './verified-quote.js';
import { requireWindow, type Window } from './window.js';

/** Names of the checks `verifyParsedQuote` reports, in the order they run. Every one is listed in every result. */
export const VERIFY_CHECKS = [
  'collateral.format',
  'collateral.tcb-signing-chain',
  'collateral.root-crl',
  'collateral.tcb-signer-revocation',
  'collateral.tcb-info-signature',
  'collateral.qe-identity-signature',
  'collateral.kind',
  'pck.chain',
  'collateral.pck-crl',
  'pck.revocation',
  'collateral.window',
  'pck.platform',
  'tdx.module',
  'qe-report.signature',
  'qe-report.binding',
  'qe.identity',
  'quote.signature',
  'tcb.status',
] as const;

type Sheet = CheckSheet<(typeof VERIFY_CHECKS)[number]>;

/** First TD attribute byte, bit 0. */
const TD_DEBUG = 0x01;

/**
 * Verifies a parsed quote against its collateral at a given time: signatures, chains, revocation, dates, identity of the
 * quoting enclave, TCB level. Facts only (debug and an OutOfDate status do not refuse here, `appraise` decides about
 * them), except that a revoked TCB does refuse. Bad input of any kind is a refusal, never an exception.
 */
export function verifyParsedQuote(
  quote: ParsedQuote,
  collateral: QuoteCollateralV3,
  options: VerifyOptions,
): VerifyResult {
  const anchors = options.trustAnchors ?? [INTEL_SGX_ROOT];
  const now = new Date(options.now);
  if (Number.isNaN(now.getTime())) throw new RangeError('the evaluation time is not a valid date');
  const sheet: Sheet = new CheckSheet(VERIFY_CHECKS);
  let tcbStatus: TcbStatus | null = null;
  const result = sheet.settle((): VerifiedQuote => {
    const { parsed, trustAnchor } = verifyCollateral(sheet, quote, collateral, anchors);
    const { pck, window } = verifyPlatform(sheet, quote, parsed, trustAnchor, now);
    const module = verifyModule(sheet, quote, parsed);
    const qeLevel = verifyEnclave(sheet, quote, parsed, pck);
    const tcb = sheet.step(
      'tcb.status',
      () => {
        const facts = evaluateTcb({
          ...parsed,
          quote,
          pck: pck.extension,
          identity: parsed.qeIdentity,
          qeLevel,
          module,
        });
        tcbStatus = facts.status;
        if (facts.status === 'Revoked') throw new Refusal('TCB_REVOKED', 'the TCB level of the platform is revoked');
        return facts;
      },
      describeTcb,
    );
    const facts = { tcb, pck: pck.extension, pckCa: pck.ca, debug: isDebug(quote), trustAnchor };
    // The stage brand exists only in the type system; this is the one place that gives it.
    return { quote, ...facts, verifiedAt: now, ...window } as unknown as VerifiedQuote;
  });
  return result.ok ? { ok: true, quote: result.value, checks: result.checks } : { ...result, tcbStatus };
}

/** Steps 2 and 3 of the order: trust anchor, TCB signing chains, root CRL, document signatures, kind. */
function verifyCollateral(
  sheet: Sheet,
  quote: ParsedQuote,
  collateral: QuoteCollateralV3,
  anchors: readonly TrustAnchor[],
): { readonly parsed: ParsedCollateral; readonly trustAnchor: TrustAnchor } {
  const parsed = sheet.step(
    'collateral.format',
    () => parseCollateral(requireObject(collateral)),
    ({ tcbInfo, qeIdentity }) =>
      `TCB info ${tcbInfo.id} v${tcbInfo.version} number ${tcbInfo.evaluationDataNumber}, identity ${qeIdentity.id}`,
  );
  const { tcbInfoChain, qeIdentityChain, rootCrl } = parsed;
  const trustAnchor = sheet.step(
    'collateral.tcb-signing-chain',
    () => {
      const anchor = verifySigningChain(tcbInfoChain, anchors, 'tcb_info_issuer_chain');
      verifySigningChain(qeIdentityChain, [anchor], 'qe_identity_issuer_chain');
      return anchor;
    },
    (anchor) => `both signing chains end in "${anchor.name}" ${anchor.fingerprint}`,
  );
  sheet.step(
    'collateral.root-crl',
    () => verifyRevocationList(rootCrl, ends(tcbInfoChain).root, 'root CRL'),
    () => `${rootCrl.revoked.size} revoked, updated ${rootCrl.thisUpdate.toISOString()}`,
  );
  sheet.step(
    'collateral.tcb-signer-revocation',
    () => [tcbInfoChain, qeIdentityChain].map((chain) => requireNotRevoked(ends(chain).leaf, rootCrl)),
    () => 'the signing certificates are not revoked',
  );
  sheet.step(
    'collateral.tcb-info-signature',
    () => verifyDocument(parsed.tcbInfoBytes, parsed.tcbInfoSignature, tcbInfoChain, 'TCB info'),
    () => 'signed by the TCB signing key',
  );
  sheet.step(
    'collateral.qe-identity-signature',
    () => verifyDocument(parsed.qeIdentityBytes, parsed.qeIdentitySignature, qeIdentityChain, 'QE identity'),
    () => 'signed by the TCB signing key',
  );
  sheet.step(
    'collateral.kind',
    () => requireKind(quote, parsed),
    () => `collateral and quote are ${quote.header.tee}`,
  );
  return { parsed, trustAnchor };
}

/** Collateral comes from outside, whatever its type says. */
function requireObject(collateral: QuoteCollateralV3): QuoteCollateralV3 {
  const value: unknown = collateral;
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return collateral;
  throw new Refusal('COLLATERAL_FORMAT', 'the collateral is not an object');
}

/** Step 4, under the same anchor as the collateral (mixing two trusted roots is refused): PCK chain, its CRL, revocation, the time window over everything, and the platform the TCB info is about. */
function verifyPlatform(
  sheet: Sheet,
  quote: ParsedQuote,
  collateral: ParsedCollateral,
  trustAnchor: TrustAnchor,
  now: Date,
): { readonly pck: PckChain; readonly window: Window } {
  const pck = sheet.step(
    'pck.chain',
    () => {
      const read = readPckChain(quote, collateral.pckChainPem);
      verifyPckChain(read, trustAnchor);
      return read;
    },
    (read) => `PCK ${read.leaf.serial} under the ${read.ca} CA, anchored in "${trustAnchor.name}"`,
  );
  sheet.step(
    'collateral.pck-crl',
    () => {
      verifyCrlChain(collateral, pck, trustAnchor);
      verifyRevocationList(collateral.pckCrl, pck.intermediate, 'PCK CRL');
    },
    () => `${collateral.pckCrl.revoked.size} revoked, updated ${collateral.pckCrl.thisUpdate.toISOString()}`,
  );
  sheet.step(
    'pck.revocation',
    () => {
      requireNotRevoked(pck.intermediate, collateral.rootCrl);
      requireNotRevoked(pck.leaf, collateral.pckCrl);
    },
    () => 'PCK and its CA are not revoked',
  );
  const window = sheet.step(
    'collateral.window',
    () => requireWindow(now, collateral, pck.chain),
    ({ notBefore, notAfter }) => `${now.toISOString()} lies in ${notBefore.toISOString()} to ${notAfter.toISOString()}`,
  );
  sheet.step(
    'pck.platform',
    () => requirePlatform(pck.extension, collateral.tcbInfo),
    () => `FMSPC ${pck.extension.fmspc}, PCEID ${pck.extension.pceId}`,
  );
  return { pck, window };
}

/** Step 5. */
function verifyModule(sheet: Sheet, quote: ParsedQuote, collateral: ParsedCollateral): ModuleMatch | null {
  const { report } = quote;
  if (report.kind === 'sgx') {
    sheet.skip('tdx.module', 'an SGX quote has no TDX module');
    return null;
  }
  return sheet.step(
    'tdx.module',
    () => matchModule(report, collateral.tcbInfo),
    ({ identity, level }) =>
      level === null ? 'original module' : `${identity?.id} SVN ${level.isvSvn} ${level.status}`,
  );
}

/** Steps 6 to 8. */
function verifyEnclave(sheet: Sheet, quote: ParsedQuote, collateral: ParsedCollateral, pck: PckChain) {
  sheet.step(
    'qe-report.signature',
    () => verifyQeReport(quote, pck.leaf),
    () => 'signed by the PCK key',
  );
  sheet.step(
    'qe-report.binding',
    () => verifyQeBinding(quote),
    () => 'the quoting enclave vouches for the attestation key',
  );
  const level = sheet.step(
    'qe.identity',
    () => matchQeIdentity(quote, collateral.qeIdentity),
    (match) => `${collateral.qeIdentity.id} SVN ${quote.qeReport.isvSvn}: ${match.status}`,
  );
  sheet.step(
    'quote.signature',
    () => verifyQuoteSignature(quote),
    () => 'signed by the attestation key',
  );
  return level;
}

function describeTcb(tcb: TcbFacts): string {
  const advisories = tcb.advisoryIds.length === 0 ? 'no advisories' : tcb.advisoryIds.join(', ');
  return `${tcb.status}, ${tcb.tcbDate}, ${advisories}`;
}

function isDebug({ report }: ParsedQuote): boolean {
  if (report.kind === 'sgx') return ((report.attributes[0] ?? 0) & SGX_DEBUG) !== 0;
  return ((report.tdAttributes[0] ?? 0) & TD_DEBUG) !== 0;
}
