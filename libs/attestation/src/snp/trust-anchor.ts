import { equalBytes, hashBytes, toHex } from '../bytes.js';
import { Refusal } from '../refusal.js';
import { decodePemCertificates } from '../x509/pem.js';
import { type AmdCertificate, isSelfIssued, parseAmdCertificate } from './amd-certificate.js';
import { AMD_ARK_PEM } from './amd-roots.js';
import { isAmdSigned } from './amd-signature.js';
import { SNP_PRODUCTS, type SnpProduct } from './product.js';

/** A root key (ARK) certificate to trust; build it with `snpTrustAnchorFromPem` or `snpTrustAnchorFromDer`. */
export interface SnpTrustAnchor {
  /** For reports only: it is never what trust rests on. */
  readonly name: string;
  /** SHA-256 of the DER certificate, lower-case hex. */
  readonly fingerprint: string;
  readonly der: Uint8Array;
}

/** A trust anchor was configured that is not one self-signed RSA-4096 CA certificate. Not retryable. */
export class InvalidSnpTrustAnchorError extends Error {
  readonly code = 'SNP_TRUST_ANCHOR_INVALID';
  readonly retryable = false;
  constructor(reason: string, options?: { cause?: unknown }) {
    super(`an SEV-SNP trust anchor must be one self-signed RSA-PSS CA certificate: ${reason}`, options);
    this.name = 'InvalidSnpTrustAnchorError';
  }
}

/** @throws InvalidSnpTrustAnchorError */
export function snpTrustAnchorFromPem(pem: string, name: string): SnpTrustAnchor {
  const certificates = parsed(() => decodePemCertificates(pem, 'the PEM text'));
  const [der] = certificates;
  if (der === undefined || certificates.length !== 1) {
    throw new InvalidSnpTrustAnchorError(`the PEM text holds ${certificates.length} certificates`);
  }
  return snpTrustAnchorFromDer(der, name);
}

/** @throws InvalidSnpTrustAnchorError */
export function snpTrustAnchorFromDer(der: Uint8Array, name: string): SnpTrustAnchor {
  const certificate = parsed(() => parseAmdCertificate(der.slice()));
  const isRoot = parsed(() => certificate.isCa && certificate.keyCertSign && isAmdSigned(certificate, certificate));
  if (!isRoot || !isSelfIssued(certificate)) throw new InvalidSnpTrustAnchorError('it is not a CA signed by itself');
  return { name, fingerprint: toHex(hashBytes('sha256', certificate.der)), der: certificate.der };
}

function parsed<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof Refusal) throw new InvalidSnpTrustAnchorError(error.message, { cause: error });
    throw error;
  }
}

/** SHA-256 of the DER of AMD's root certificates, lower-case hex. */
export const AMD_ARK_FINGERPRINTS: Readonly<Record<SnpProduct, string>> = {
  Milan: '69d063b45344d26a2e94e1f4210de49ef555308287d4c174445c95639a540bcd',
  Genoa: '4c6598d19c18719c5dfd4a7d335f674e5bfe1d8f800cea2cf270c10d103db2f1',
  Turin: '1f084161a44bb6d93778a904877d4819cafa5d05ef4193b2ded9dd9c73dd3f6a',
};

let amd: readonly SnpTrustAnchor[] | undefined;

/** AMD's roots of all product lines: the only anchors by default. Read and checked once, at the first use. */
export function amdTrustAnchors(): readonly SnpTrustAnchor[] {
  amd ??= SNP_PRODUCTS.map((product) => {
    const anchor = snpTrustAnchorFromPem(AMD_ARK_PEM[product], `ARK-${product}`);
    if (!isAmdAnchor(anchor)) throw new InvalidSnpTrustAnchorError(`the built-in ARK-${product} is not the pinned one`);
    return anchor;
  });
  return amd;
}

export function isAmdAnchor(anchor: SnpTrustAnchor): boolean {
  return Object.values(AMD_ARK_FINGERPRINTS).includes(anchor.fingerprint);
}

/**
 * The anchor a chain ends in. `root` is the certificate that came with the evidence, or null; then the anchor that issued
 * the signing key is looked for. Only whole certificates are compared, never names.
 * @throws Refusal `UNTRUSTED_ROOT`
 */
export function requireSnpAnchor(
  root: AmdCertificate | null,
  signer: AmdCertificate,
  anchors: readonly SnpTrustAnchor[],
): { readonly anchor: SnpTrustAnchor; readonly certificate: AmdCertificate } {
  for (const anchor of anchors) {
    if (root !== null && !equalBytes(root.der, anchor.der)) continue;
    const certificate = parseAmdCertificate(anchor.der);
    if (root !== null || isAmdSigned(signer, certificate)) return { anchor, certificate };
  }
  const what = root === null ? 'no trust anchor issued the signing key' : 'the root is not a trust anchor';
  throw new Refusal('UNTRUSTED_ROOT', what);
}
