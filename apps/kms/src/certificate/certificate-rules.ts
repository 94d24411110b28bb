import { isIPv4 } from 'node:net';
import type { CertificateRequest } from '@vouch/keys';

/** Most names in one certificate. */
const MAX_NAMES = 16;
const YEAR_MS = 365 * 24 * 3600 * 1000;
/** Clocks differ: a certificate is valid from a little before now, in milliseconds. */
const BACKDATE_MS = 5 * 60 * 1000;

/** One DNS name: labels of letters, digits and inner hyphens, at least two unless it is `localhost`; `*.` only in front. */
const DNS_NAME = /^(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/** What a request is held against. */
export interface CertificateBounds {
  readonly appId: string;
  /** Placement address of the instance, the one IP address (with loopback) it may name. */
  readonly address: string;
  /** Domains of the KMS and of gateways: an app may only have names of its own below them. */
  readonly reservedDomains: readonly string[];
  readonly now: Date;
}

export type CertificateTerms =
  | {
      readonly ok: true;
      readonly subject: string;
      readonly altNames: readonly string[];
      readonly notBefore: Date;
      readonly notAfter: Date;
    }
  | { readonly ok: false; readonly reason: string };

/**
 * Confines what an app may have certified: names that are sane, at most 16, none that speaks for the KMS, a gateway or
 * another app, and at most one year from now. Times that are not asked for become "now" and one year.
 */
export function certificateTerms(
  request: Pick<CertificateRequest, 'subject' | 'altNames' | 'notBefore' | 'notAfter'>,
  bounds: CertificateBounds,
): CertificateTerms {
  const altNames = [...new Set(request.altNames.map((name) => name.toLowerCase()))];
  if (altNames.length > MAX_NAMES) return refuse(`at most ${MAX_NAMES} names, not ${altNames.length}`);
  for (const name of altNames) {
    const problem = problemOfName(name, bounds);
    if (problem !== undefined) return refuse(problem);
  }
  if (!/^[\x20-\x7e]{0,64}$/.test(request.subject)) return refuse('the subject must be printable ASCII');
  const subject = request.subject.toLowerCase();
  if (looksLikeName(subject)) {
    const problem = problemOfName(subject, bounds);
    if (problem !== undefined) return refuse(`subject: ${problem}`);
  }
  const now = bounds.now.getTime();
  const notBefore = new Date(request.notBefore === undefined ? now - BACKDATE_MS : request.notBefore * 1000);
  const notAfter = new Date(request.notAfter === undefined ? now + YEAR_MS - BACKDATE_MS : request.notAfter * 1000);
  if (notAfter.getTime() - notBefore.getTime() > YEAR_MS) return refuse('the validity is longer than one year');
  if (notAfter.getTime() > now + YEAR_MS) return refuse('the validity ends more than one year from now');
  if (notAfter.getTime() <= now) return refuse('the validity has ended already');
  return {
    ok: true,
    subject: request.subject,
    altNames,
    notBefore: wholeSeconds(notBefore),
    notAfter: wholeSeconds(notAfter),
  };
}

function problemOfName(name: string, { appId, address, reservedDomains }: CertificateBounds): string | undefined {
  if (name === 'localhost' || name === address || name === '::1' || (isIPv4(name) && name.startsWith('127.')))
    return undefined;
  if (isIPv4(name) || name.includes(':'))
    return `${name}: only loopback and the instance's own address can be certified`;
  if (name.length > 253 || !DNS_NAME.test(name)) return `${name}: not a DNS name`;
  const bare = name.replace(/^\*\./, '');
  for (const domain of reservedDomains.map((text) => text.toLowerCase())) {
    if (domain === bare || domain.endsWith(`.${bare}`)) return `${name}: covers the reserved domain ${domain}`;
    if (bare.endsWith(`.${domain}`) && !isOwnName(bare, domain, appId)) {
      return `${name}: below the reserved domain ${domain}, only names of app ${appId} can be certified`;
    }
  }
  return undefined;
}

/** `<app id>[-<port>][s|g]` directly below the domain (the gateway's naming), or anything below that. */
function isOwnName(name: string, domain: string, appId: string): boolean {
  const label =
    name
      .slice(0, -domain.length - 1)
      .split('.')
      .at(-1) ?? '';
  return label.startsWith(appId) && /^(-\d{1,5})?[sg]?$/.test(label.slice(appId.length));
}

function looksLikeName(subject: string): boolean {
  return /^\S+\.\S+$/.test(subject);
}

function wholeSeconds(time: Date): Date {
  return new Date(Math.floor(time.getTime() / 1000) * 1000);
}

function refuse(reason: string): CertificateTerms {
  return { ok: false, reason };
}
