import type { KeyObject } from 'node:crypto';
import type { ParsedQuote } from '../abi/parsed-quote.js';
import { equalBytes, hashBytes, isZero } from '../bytes.js';
import type { EnclaveIdentity } from '../collateral/enclave-identity.js';
import type { IsvLevel } from '../collateral/tcb-level.js';
import { Refusal } from '../refusal.js';
import { verifyRaw } from '../x509/p256.js';

/** SGX attribute flag of a debuggable enclave, in the first flag byte. */
export const SGX_DEBUG = 0x02;
const HASH_BYTES = 32;

/** The PCK key signed the QE report. @throws Refusal `QE_REPORT_SIGNATURE` */
export function verifyQeReport(quote: ParsedQuote, pckKey: KeyObject): void {
  if (!verifyRaw(pckKey, quote.qeReportBytes, quote.qeReportSignature)) {
    throw new Refusal('QE_REPORT_SIGNATURE', 'the QE report is not signed by the PCK key');
  }
}

/** The QE vouches for the attestation key: report data = SHA-256(key ‖ QE auth data) ‖ 32 zero bytes. */
export function verifyQeBinding(quote: ParsedQuote): void {
  const { reportData } = quote.qeReport;
  const expected = hashBytes('sha256', quote.attestationKey, quote.qeAuthData);
  if (!equalBytes(reportData.subarray(0, HASH_BYTES), expected) || !isZero(reportData.subarray(HASH_BYTES))) {
    throw new Refusal('QE_REPORT_BINDING', 'the QE report does not vouch for this attestation key');
  }
}

/** The QE is Intel's and not debuggable; returns its level. @throws Refusal `QE_IDENTITY_MISMATCH`, `TCB_NOT_SUPPORTED` */
export function matchQeIdentity(quote: ParsedQuote, identity: EnclaveIdentity): IsvLevel {
  const qe = quote.qeReport;
  const refuse = (what: string): Refusal => new Refusal('QE_IDENTITY_MISMATCH', `the QE report's ${what}`);
  if (!equalsMasked(qe.miscSelect, identity.miscSelect, identity.miscSelectMask)) throw refuse('miscselect differs');
  if (!equalsMasked(qe.attributes, identity.attributes, identity.attributesMask)) throw refuse('attributes differ');
  if (!equalBytes(qe.mrSigner, identity.mrSigner)) throw refuse('signer differs');
  if (qe.isvProdId !== identity.isvProdId) throw refuse(`product id is ${qe.isvProdId}, not ${identity.isvProdId}`);
  if (((qe.attributes[0] ?? 0) & SGX_DEBUG) !== 0) throw refuse('debug attribute is set');
  const level = identity.levels.find((candidate) => candidate.isvSvn <= qe.isvSvn);
  if (level === undefined) throw new Refusal('TCB_NOT_SUPPORTED', `QE SVN ${qe.isvSvn} is below every level`);
  return level;
}

/** The attestation key signed header and body. @throws Refusal `QUOTE_SIGNATURE` */
export function verifyQuoteSignature(quote: ParsedQuote, attestationKey: KeyObject): void {
  if (!verifyRaw(attestationKey, quote.signedBytes, quote.quoteSignature)) {
    throw new Refusal('QUOTE_SIGNATURE', 'the quote is not signed by its attestation key');
  }
}

function equalsMasked(value: Uint8Array, reference: Uint8Array, mask: Uint8Array): boolean {
  for (let i = 0; i < value.length; i += 1) {
    if (((value[i] ?? 0) & (mask[i] ?? 0xff)) !== reference[i]) return false;
  }
  return true;
}
