import { equalBytes } from '../bytes.js';
import { Refusal } from '../refusal.js';
import { type Certificate, describeCertificate } from './certificate.js';
import type { CertificateStore } from './certificate-store.js';
import { importIssuerKey, verifyDer } from './p256.js';
import type { RevocationList } from './revocation-list.js';

/** Leaf first, root last. */
export type Chain = readonly Certificate[];

/**
 * Parses a PEM chain of exactly `count` certificates in any order and puts it in issuing order by names: one certificate
 * is self-issued (the root), each other one is followed by its issuer.
 * @throws Refusal `CHAIN_FORMAT` and those of parsing
 */
export function readChain(pem: string, count: number, source: string, store: CertificateStore): Chain {
  const certificates = store.readPem(pem, source);
  if (certificates.length !== count) {
    throw new Refusal('CHAIN_FORMAT', `${source} has ${certificates.length} certificates, not ${count}`);
  }
  if (new Set(certificates).size !== count) throw new Refusal('CHAIN_FORMAT', `${source} has one certificate twice`);
  const roots = certificates.filter((certificate) => equalBytes(certificate.issuer, certificate.subject));
  const [root] = roots;
  if (root === undefined || roots.length !== 1) throw new Refusal('CHAIN_FORMAT', `${source} has not exactly one root`);
  const chain = [root];
  const rest = new Set(certificates.filter((certificate) => certificate !== root));
  while (rest.size > 0) {
    const issuer = chain[0] ?? root;
    const issued = [...rest].filter((certificate) => equalBytes(certificate.issuer, issuer.subject));
    const [next] = issued;
    if (next === undefined || issued.length !== 1) throw new Refusal('CHAIN_FORMAT', `${source} is not one chain`);
    chain.unshift(next);
    rest.delete(next);
  }
  return chain;
}

/**
 * Verifies every signature from the root down, with CA and path length constraints (RFC 5280 §6.1): no key is used
 * before its certificate was vouched for. The caller has decided that the root's key is trusted; times and revocation are
 * checked apart.
 * @throws Refusal `CHAIN_INVALID`
 */
export function verifyChain(chain: Chain, source: string): void {
  for (let i = chain.length - 2; i >= 0; i -= 1) {
    const [subject, issuer] = [chain[i], chain[i + 1]];
    if (subject === undefined || issuer === undefined) throw new Error('unreachable: the loop stays inside the chain');
    if (!issuer.isCa || !issuer.keyUsage.keyCertSign) {
      throw new Refusal('CHAIN_INVALID', `${source}: ${describeCertificate(issuer)} may not sign certificates`);
    }
    if (issuer.pathLength !== null && issuer.pathLength < i) {
      throw new Refusal('CHAIN_INVALID', `${source}: ${describeCertificate(issuer)} allows a shorter path`);
    }
    if (!isSignedBy(subject, issuer)) {
      throw new Refusal('CHAIN_INVALID', `${source}: ${describeCertificate(subject)} is not signed by its issuer`);
    }
  }
}

/**
 * Signatures that were verified and hold, by the two parsed objects. These are private to this package and never change,
 * so that the memory is as good as the verification; it ends with the objects. A failure is never remembered.
 */
const proven = new WeakMap<Certificate | RevocationList, Certificate>();

/** True when the signature holds and the raw issuer name equals the signer's subject. Certificates and CRLs alike. */
export function isSignedBy(signed: Certificate | RevocationList, issuer: Certificate): boolean {
  if (proven.get(signed) === issuer) return true;
  const holds =
    equalBytes(signed.issuer, issuer.subject) &&
    verifyDer(importIssuerKey(issuer.publicPoint, issuer.commonName), signed.tbs, signed.signature);
  if (holds) proven.set(signed, issuer);
  return holds;
}
