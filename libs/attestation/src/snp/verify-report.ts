import { equalBytes, isZero, toHex } from '../bytes.js';
import { CheckSheet } from '../check-sheet.js';
import { Refusal } from '../refusal.js';
import { type AmdCertificate, requireIssued } from './amd-certificate.js';
import { type AmdRevocationList, parseAmdRevocationList } from './amd-revocation-list.js';
import { importP384, isAmdSigned, verifyP384 } from './amd-signature.js';
import { readSnpChain, type SnpChain } from './certificate-chain.js';
import { isChipIdMasked } from './parse-report.js';
import type { ParsedSnpReport } from './parsed-report.js';
import type { SnpProduct } from './product.js';
import { describeTcb, equalTcb, readTcbVersion } from './tcb-version.js';
import { amdTrustAnchors, requireSnpAnchor, type SnpTrustAnchor } from './trust-anchor.js';
import type {
  SnpCollateral,
  SnpTcbFacts,
  SnpVerifyOptions,
  VerifiedSnpReport,
  VerifySnpResult,
} from './verified-report.js';

/** Names of the checks `verifySnpReport` reports, in the order they run. Every one is listed in every result. */
export const SNP_VERIFY_CHECKS = [
  'certificates.format',
  'certificates.root',
  'certificates.chain',
  'certificates.crl',
  'certificates.revocation',
  'certificates.window',
  'endorsement.kind',
  'endorsement.product',
  'endorsement.chip',
  'endorsement.tcb',
  'report.signature',
] as const;

type Sheet = CheckSheet<(typeof SNP_VERIFY_CHECKS)[number]>;

/**
 * Verifies a parsed report against its certificates at a given time: chain to a root, revocation, dates, that the key is
 * of the kind, product, chip and patch levels the report names, signature. Facts only (debug, privilege level and patch
 * levels are judged by `appraiseSnp`). Bad input of any kind is a refusal, never an exception.
 */
export function verifySnpReport(
  report: ParsedSnpReport,
  collateral: SnpCollateral,
  options: SnpVerifyOptions,
): VerifySnpResult {
  const now = new Date(options.now);
  if (Number.isNaN(now.getTime())) throw new RangeError('the evaluation time is not a valid date');
  const sheet: Sheet = new CheckSheet(SNP_VERIFY_CHECKS);
  const result = sheet.settle((): VerifiedSnpReport => {
    const chain = sheet.step(
      'certificates.format',
      () => readSnpChain(collateral.certificates),
      ({ endorsement }) => `${endorsement.kind} of ${endorsement.productName}`,
    );
    const { trustAnchor, root } = verifyChain(sheet, chain, options.trustAnchors ?? amdTrustAnchors());
    const crl = verifyRevocation(sheet, chain, root, collateral.revocationList);
    const window = verifyWindow(sheet, [chain.vek, chain.signer, root], crl, now);
    const { product, tcb } = verifyEndorsement(sheet, report, chain);
    sheet.step(
      'report.signature',
      () => {
        if (!verifyP384(chain.vek.spki, report.signedBytes, report.signature)) {
          throw new Refusal('SNP_SIGNATURE', 'the report is not signed by the endorsement key');
        }
      },
      () => `signed by the ${chain.endorsement.kind}`,
    );
    const facts = { report, product, endorsement: chain.endorsement, tcb, debug: report.policy.debugAllowed };
    // The stage brand exists only in the type system; this is the one place that gives it.
    return {
      ...facts,
      revocationChecked: crl !== null,
      trustAnchor,
      verifiedAt: now,
      ...window,
    } as unknown as VerifiedSnpReport;
  });
  return result.ok ? { ok: true, report: result.value, checks: result.checks } : result;
}

function verifyChain(
  sheet: Sheet,
  chain: SnpChain,
  anchors: readonly SnpTrustAnchor[],
): { readonly trustAnchor: SnpTrustAnchor; readonly root: AmdCertificate } {
  const { anchor, certificate: root } = sheet.step(
    'certificates.root',
    () => requireSnpAnchor(chain.root, chain.signer, anchors),
    ({ anchor }) => `"${anchor.name}" ${anchor.fingerprint}`,
  );
  sheet.step(
    'certificates.chain',
    () => {
      requireIssued(chain.signer, root, 1, 'the signing key');
      requireIssued(chain.vek, chain.signer, 0, 'the endorsement key');
      importP384(chain.vek.spki);
    },
    () => `root, signing key ${chain.signer.serial}, ${chain.endorsement.kind}`,
  );
  return { trustAnchor: anchor, root };
}

function verifyRevocation(
  sheet: Sheet,
  chain: SnpChain,
  root: AmdCertificate,
  der: Uint8Array | undefined,
): AmdRevocationList | null {
  if (der === undefined) {
    sheet.skip('certificates.crl', 'no CRL was given');
    sheet.skip('certificates.revocation', 'no CRL was given');
    return null;
  }
  const crl = sheet.step(
    'certificates.crl',
    () => {
      const list = parseAmdRevocationList(der);
      if (!root.crlSign || !isAmdSigned(list, root)) throw new Refusal('CRL_INVALID', 'the root did not sign the CRL');
      return list;
    },
    ({ revoked, thisUpdate }) => `${revoked.size} revoked, updated ${thisUpdate.toISOString()}`,
  );
  sheet.step(
    'certificates.revocation',
    () => {
      // Endorsement keys are no business of this list: it is the root's, and they all have the serial 0.
      if (crl.revoked.has(chain.signer.serial)) {
        throw new Refusal('CERTIFICATE_REVOKED', `the signing key ${chain.signer.serial} is revoked`);
      }
    },
    () => 'the signing key is not revoked',
  );
  return crl;
}

function verifyWindow(
  sheet: Sheet,
  [vek, signer, root]: readonly [AmdCertificate, AmdCertificate, AmdCertificate],
  crl: AmdRevocationList | null,
  now: Date,
): { readonly notBefore: Date; readonly notAfter: Date } {
  const bounds = [
    { what: 'the endorsement key', from: vek.notBefore, to: vek.notAfter },
    { what: 'the signing key', from: signer.notBefore, to: signer.notAfter },
    { what: 'the root', from: root.notBefore, to: root.notAfter },
    ...(crl === null ? [] : [{ what: 'the CRL', from: crl.thisUpdate, to: crl.nextUpdate }]),
  ];
  return sheet.step(
    'certificates.window',
    () => {
      for (const { what, from, to } of bounds) {
        if (now < from) throw new Refusal('COLLATERAL_NOT_YET_VALID', `${what} is valid from ${from.toISOString()}`);
        if (now > to) throw new Refusal('COLLATERAL_EXPIRED', `${what} was valid until ${to.toISOString()}`);
      }
      return {
        notBefore: new Date(Math.max(...bounds.map((bound) => bound.from.getTime()))),
        notAfter: new Date(Math.min(...bounds.map((bound) => bound.to.getTime()))),
      };
    },
    ({ notBefore, notAfter }) => `${now.toISOString()} lies in ${notBefore.toISOString()} to ${notAfter.toISOString()}`,
  );
}

/** The key must be the one the report says signed it: kind, product, chip and patch levels. */
function verifyEndorsement(
  sheet: Sheet,
  report: ParsedSnpReport,
  { endorsement }: SnpChain,
): { readonly product: SnpProduct; readonly tcb: SnpTcbFacts } {
  sheet.step(
    'endorsement.kind',
    () => {
      if (report.signingKey === 'NONE' || report.chipKeyMasked)
        throw new Refusal('SNP_UNSIGNED', 'the report is unsigned');
      if (report.signingKey !== endorsement.kind) {
        const message = `the report is signed with a ${report.signingKey}, the certificate is of a ${endorsement.kind}`;
        throw new Refusal('SNP_KEY_MISMATCH', message);
      }
    },
    () => endorsement.kind,
  );
  const { product } = endorsement;
  sheet.step(
    'endorsement.product',
    () => {
      if (report.product !== null && report.product !== product) {
        throw new Refusal('SNP_KEY_MISMATCH', `the report is of ${report.product}, the certificate of ${product}`);
      }
    },
    () => (report.product === null ? `${product}, by the certificate alone` : product),
  );
  verifyChip(sheet, report, endorsement.hardwareId);
  const tcb = sheet.step(
    'endorsement.tcb',
    () => {
      const facts = readTcbFacts(report, product);
      if (!equalTcb(facts.reported, endorsement.tcb)) {
        const [is, want] = [describeTcb(facts.reported), describeTcb(endorsement.tcb)];
        throw new Refusal('SNP_TCB_MISMATCH', `the report states ${is}, the certificate ${want}`);
      }
      return facts;
    },
    ({ reported, status }) => `${describeTcb(reported)}: ${status}`,
  );
  return { product, tcb };
}

function verifyChip(sheet: Sheet, report: ParsedSnpReport, hardwareId: Uint8Array | null): void {
  if (hardwareId === null) {
    sheet.skip('endorsement.chip', 'a VLEK belongs to a provider, not to one chip');
    return;
  }
  sheet.step(
    'endorsement.chip',
    () => {
      if (isChipIdMasked(report)) throw new Refusal('SNP_CHIP_MASKED', 'the host masks the chip id');
      const [used, rest] = [report.chipId.subarray(0, hardwareId.length), report.chipId.subarray(hardwareId.length)];
      if (!equalBytes(used, hardwareId) || !isZero(rest)) {
        throw new Refusal('SNP_KEY_MISMATCH', `the certificate is of chip ${toHex(hardwareId)}`);
      }
    },
    () => toHex(hardwareId),
  );
}

function readTcbFacts({ tcbBytes }: ParsedSnpReport, product: SnpProduct): SnpTcbFacts {
  const current = readTcbVersion(tcbBytes.current, product, 'the current TCB');
  const reported = readTcbVersion(tcbBytes.reported, product, 'the reported TCB');
  const committed = readTcbVersion(tcbBytes.committed, product, 'the committed TCB');
  const launch = readTcbVersion(tcbBytes.launch, product, 'the launch TCB');
  const agree = [current, committed, launch].every((tcb) => equalTcb(tcb, reported));
  return { status: agree ? 'UpToDate' : 'OutOfDate', current, reported, committed, launch };
}
