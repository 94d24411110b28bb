import type { ParsedCollateral } from '../collateral/parse-collateral.js';
import { Refusal } from '../refusal.js';
import type { Certificate } from '../x509/certificate.js';
import type { Chain } from '../x509/chain.js';

interface Bound {
  readonly what: string;
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/** The time in which a whole set of evidence is valid; both ends belong to it. */
export interface Window {
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/**
 * Latest lower bound and earliest upper bound over TCB info, QE identity, both CRLs and every certificate involved.
 * `now` must lie inside.
 * @throws Refusal `COLLATERAL_EXPIRED` or `COLLATERAL_NOT_YET_VALID`, naming the piece
 */
export function requireWindow(now: Date, collateral: ParsedCollateral, pckChain: Chain): Window {
  const bounds = listBounds(collateral, pckChain);
  for (const bound of bounds) {
    if (now < bound.notBefore) {
      throw new Refusal('COLLATERAL_NOT_YET_VALID', `${bound.what} is valid from ${bound.notBefore.toISOString()}`);
    }
    if (now > bound.notAfter) {
      throw new Refusal('COLLATERAL_EXPIRED', `${bound.what} was valid until ${bound.notAfter.toISOString()}`);
    }
  }
  return {
    notBefore: new Date(Math.max(...bounds.map((bound) => bound.notBefore.getTime()))),
    notAfter: new Date(Math.min(...bounds.map((bound) => bound.notAfter.getTime()))),
  };
}

function listBounds(collateral: ParsedCollateral, pckChain: Chain): readonly Bound[] {
  const { tcbInfo, qeIdentity, rootCrl, pckCrl } = collateral;
  const certificates = new Set<Certificate>([
    ...collateral.tcbInfoChain,
    ...collateral.qeIdentityChain,
    ...collateral.pckCrlChain,
    ...pckChain,
  ]);
  return [
    { what: 'the TCB info', notBefore: tcbInfo.issueDate, notAfter: tcbInfo.nextUpdate },
    { what: 'the QE identity', notBefore: qeIdentity.issueDate, notAfter: qeIdentity.nextUpdate },
    { what: 'the root CRL', notBefore: rootCrl.thisUpdate, notAfter: rootCrl.nextUpdate },
    { what: 'the PCK CRL', notBefore: pckCrl.thisUpdate, notAfter: pckCrl.nextUpdate },
    ...[...certificates].map(({ commonName, notBefore, notAfter }) => ({
      what: `certificate "${commonName}"`,
      notBefore,
      notAfter,
    })),
  ];
}
