import type { ParsedCollateral } from '../collateral/parse-collateral.js';
import { Refusal } from '../refusal.js';
import type { Certificate } from '../x509/certificate.js';
import type { Chain } from '../x509/chain.js';

interface Bound {
  readonly what: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/**
 * The time in which a whole set of evidence is valid: from the latest lower bound to the earliest upper bound over TCB
 * info, QE identity, both CRLs and every certificate involved; both ends belong to it.
 */
export class ValidityWindow {
  private readonly fromMs: number;
  private readonly untilMs: number;
  private readonly text: string;
  /** Of certificates that are not part of the collateral: a window may be kept for long, the certificates are not. */
  private readonly own: readonly Bound[];

  constructor(
    private readonly collateral: ParsedCollateral,
    pckChain: Chain,
  ) {
    const shared = certificates(collateral);
    this.own = pckChain.filter((certificate) => !shared.has(certificate)).map(boundOf);
    let [from, until] = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
    for (const { notBefore, notAfter } of [...documents(collateral), ...shared, ...this.own]) {
      from = Math.max(from, notBefore.getTime());
      until = Math.min(until, notAfter.getTime());
    }
    this.fromMs = from;
    this.untilMs = until;
    this.text = `${this.notBefore.toISOString()} to ${this.notAfter.toISOString()}`;
  }

  get notBefore(): Date {
    return new Date(this.fromMs);
  }

  get notAfter(): Date {
    return new Date(this.untilMs);
  }

  /** @throws Refusal `COLLATERAL_EXPIRED` or `COLLATERAL_NOT_YET_VALID`, naming the piece */
  require(now: Date): void {
    const at = now.getTime();
    if (at >= this.fromMs && at <= this.untilMs) return;
    const shared = [...certificates(this.collateral)].map(boundOf);
    for (const bound of [...documents(this.collateral), ...shared, ...this.own]) {
      if (now < bound.notBefore) {
        throw new Refusal('COLLATERAL_NOT_YET_VALID', `${bound.what} is valid from ${bound.notBefore.toISOString()}`);
      }
      if (now > bound.notAfter) {
        throw new Refusal('COLLATERAL_EXPIRED', `${bound.what} was valid until ${bound.notAfter.toISOString()}`);
      }
    }
    throw new Error('unreachable: a time outside the window is outside one of its bounds');
  }

  /** Words for a time inside. */
  describe(now: Date): string {
    return `${now.toISOString()} lies in ${this.text}`;
  }
}

function boundOf({ commonName, notBefore, notAfter }: Certificate): Bound {
  return { what: `certificate "${commonName}"`, notBefore, notAfter };
}

function documents({ tcbInfo, qeIdentity, rootCrl, pckCrl }: ParsedCollateral): readonly Bound[] {
  return [
    { what: 'the TCB info', notBefore: tcbInfo.issueDate, notAfter: tcbInfo.nextUpdate },
    { what: 'the QE identity', notBefore: qeIdentity.issueDate, notAfter: qeIdentity.nextUpdate },
    { what: 'the root CRL', notBefore: rootCrl.thisUpdate, notAfter: rootCrl.nextUpdate },
    { what: 'the PCK CRL', notBefore: pckCrl.thisUpdate, notAfter: pckCrl.nextUpdate },
  ];
}

function certificates({ tcbInfoChain, qeIdentityChain, pckCrlChain }: ParsedCollateral): ReadonlySet<Certificate> {
  return new Set([...tcbInfoChain, ...qeIdentityChain, ...pckCrlChain]);
}
