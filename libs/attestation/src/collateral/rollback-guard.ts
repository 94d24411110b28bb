import { Refusal } from '../refusal.js';
import type { AuthenticCollateral } from './authentic-collateral.js';

/**
 * Remembers the highest evaluation data number of authentic documents, per FMSPC for TCB info and per TEE for the QE
 * identity, and refuses older ones: an old TCB info inside its window, validly signed, would hide what a newer one says.
 * It learns from authentic documents only, so that a forged number can neither raise nor lower the bar.
 */
export class RollbackGuard {
  private readonly highest = new Map<string, number>();

  learn(collateral: AuthenticCollateral): void {
    for (const { key, number } of marksOf(collateral)) {
      this.highest.set(key, Math.max(number, this.highest.get(key) ?? 0));
    }
  }

  /** @throws Refusal `COLLATERAL_ROLLBACK` */
  require(collateral: AuthenticCollateral): void {
    for (const { key, what, number } of marksOf(collateral)) {
      const seen = this.highest.get(key) ?? 0;
      if (number < seen) {
        throw new Refusal(
          'COLLATERAL_ROLLBACK',
          `the ${what} has evaluation data number ${number}, but ${seen} was seen before`,
        );
      }
    }
  }
}

function marksOf({ platform: { tee, fmspc }, tcbInfoNumber, qeIdentityNumber }: AuthenticCollateral) {
  return [
    { key: `${tee}/${fmspc}`, what: 'TCB info', number: tcbInfoNumber },
    { key: tee, what: 'QE identity', number: qeIdentityNumber },
  ];
}
