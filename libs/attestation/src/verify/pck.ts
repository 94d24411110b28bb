import type { ParsedQuote } from '../abi/parsed-quote.js';
import { CERTIFICATION_TYPES } from '../abi/quote-format.js';
import { equalBytes } from '../bytes.js';
import type { ParsedCollateral } from '../collateral/parse-collateral.js';
import type { TcbInfo } from '../collateral/tcb-info.js';
import { Refusal } from '../refusal.js';
import { type Certificate, describeCertificate } from '../x509/certificate.js';
import { CertificateStore } from '../x509/certificate-store.js';
import { type Chain, readChain, verifyChain } from '../x509/chain.js';
import { type PckExtension, readPckExtension } from '../x509/pck-extension.js';
import { ends, NAME_PHRASES } from './collateral-signatures.js';
import { requireAnchor, type TrustAnchor } from './trust-anchor.js';

/** A PCK chain of three: leaf, intermediate, root. */
export interface PckChain {
  readonly chain: Chain;
  readonly leaf: Certificate;
  readonly intermediate: Certificate;
  readonly ca: 'platform' | 'processor';
  readonly extension: PckExtension;
}

const PCK_CHAIN_LENGTH = 3;

/**
 * PEM bytes of the PCK chain: the one in the quote (certification data 5), else `fallback`.
 * @throws Refusal `PCK_CHAIN_MISSING`
 */
export function pckChainBytes(quote: ParsedQuote, fallback: string | null): Uint8Array {
  const { type, data } = quote.certification;
  if (type === CERTIFICATION_TYPES.pckChain) return data;
  if (fallback !== null) return Buffer.from(fallback, 'utf8');
  throw new Refusal('PCK_CHAIN_MISSING', `certification data of type ${type} needs a PCK chain in the collateral`);
}

/**
 * Reads the PCK chain of a quote. Structure only: signatures and trust are `verifyPckChain`'s.
 * @throws Refusal `PCK_CHAIN_MISSING` and those of parsing
 */
export function readPckChain(quote: ParsedQuote, fallbackPem: string | null): PckChain {
  return parsePckChain(pckChainBytes(quote, fallbackPem), new CertificateStore());
}

/** @throws Refusal of parsing */
export function parsePckChain(pem: Uint8Array, store: CertificateStore): PckChain {
  const text = Buffer.from(pem.buffer, pem.byteOffset, pem.byteLength).toString('latin1');
  const chain = readChain(text, PCK_CHAIN_LENGTH, 'the PCK chain', store);
  const [leaf, intermediate] = chain;
  if (leaf === undefined || intermediate === undefined)
    throw new Error('unreachable: the chain has three certificates');
  if (leaf.isCa || !leaf.keyUsage.digitalSignature || !leaf.commonName.includes(NAME_PHRASES.pckLeaf)) {
    throw new Refusal('CHAIN_FORMAT', `${describeCertificate(leaf)} is not a PCK certificate`);
  }
  return { chain, leaf, intermediate, ca: readCaKind(intermediate), extension: readPckExtension(leaf) };
}

function readCaKind(intermediate: Certificate): 'platform' | 'processor' {
  if (intermediate.commonName.includes(NAME_PHRASES.platformCa)) return 'platform';
  if (intermediate.commonName.includes(NAME_PHRASES.processorCa)) return 'processor';
  throw new Refusal('CHAIN_FORMAT', `${describeCertificate(intermediate)} is neither PCK platform nor processor CA`);
}

/** @throws Refusal `UNTRUSTED_ROOT` or `CHAIN_INVALID` */
export function verifyPckChain(pck: PckChain, anchor: TrustAnchor): void {
  requireAnchor(ends(pck.chain).root, [anchor], 'the PCK chain');
  verifyChain(pck.chain, 'the PCK chain');
}

/** The CRL's own issuer chain must be anchored and be about the very CA that issued the PCK leaf. */
export function verifyCrlChain(collateral: ParsedCollateral, pck: PckChain, anchor: TrustAnchor): void {
  const { leaf: ca, root } = ends(collateral.pckCrlChain);
  requireAnchor(root, [anchor], 'pck_crl_issuer_chain');
  verifyChain(collateral.pckCrlChain, 'pck_crl_issuer_chain');
  if (!equalBytes(ca.subject, pck.intermediate.subject) || !equalBytes(ca.publicPoint, pck.intermediate.publicPoint)) {
    throw new Refusal('CRL_INVALID', `the PCK CRL is about ${describeCertificate(ca)}, not the issuer of this PCK`);
  }
}

/** @throws Refusal `COLLATERAL_MISMATCH` unless the TCB info is about this platform. */
export function requirePlatform(extension: PckExtension, tcbInfo: TcbInfo): void {
  if (extension.fmspc !== tcbInfo.fmspc || extension.pceId !== tcbInfo.pceId) {
    throw new Refusal(
      'COLLATERAL_MISMATCH',
      `the TCB info is for FMSPC ${tcbInfo.fmspc} PCEID ${tcbInfo.pceId}, the platform is ${extension.fmspc} ${extension.pceId}`,
    );
  }
}
