import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  activeKeyEpoch,
  decideKeyEpoch,
  evolveKeyEpochs,
  initialKeyEpochs,
  type KeyEpochCommand,
  type KeyEpochs,
  keyEpochEntry,
} from './key-epochs.js';

const reason = 'test';

/** Carries commands out one after another; refused ones change nothing. */
function after(...commands: readonly KeyEpochCommand[]): KeyEpochs {
  return commands.reduce<KeyEpochs>((epochs, command, at) => {
    const decision = decideKeyEpoch(command, epochs);
    if (!decision.ok || decision.type === null) return epochs;
    const { type, keyEpoch } = decision;
    const data = 'reason' in command ? { kmsId: 'kms-1', keyEpoch, reason } : { kmsId: 'kms-1', keyEpoch };
    return evolveKeyEpochs(epochs, { seq: at + 10, type, data } as never);
  }, initialKeyEpochs);
}

const prepare = { type: 'PrepareKeyEpoch' } as const;
const activate = (keyEpoch: number) => ({ type: 'ActivateKeyEpoch', keyEpoch }) as const;
const taint = (keyEpoch: number) => ({ type: 'TaintKeyEpoch', keyEpoch, reason }) as const;
const revoke = (keyEpoch: number) => ({ type: 'RevokeKeyEpoch', keyEpoch, reason }) as const;
const statuses = (epochs: KeyEpochs) => epochs.map(({ status }) => status);

describe('key epochs', () => {
  it('start with an active epoch 0 and go prepare, activate, taint, revoke', () => {
    expect(statuses(initialKeyEpochs)).toEqual(['active']);
    expect(statuses(after(prepare))).toEqual(['active', 'prepared']);
    expect(statuses(after(prepare, activate(1)))).toEqual(['superseded', 'active']);
    expect(statuses(after(prepare, activate(1), taint(0)))).toEqual(['tainted', 'active']);
    expect(statuses(after(prepare, activate(1), taint(0), revoke(0)))).toEqual(['revoked', 'active']);
  });

  it('have none active once the active one is tainted', () => {
    expect(activeKeyEpoch(after(taint(0)))).toBeUndefined();
    expect(activeKeyEpoch(after(taint(0), prepare, activate(1)))).toBe(1);
  });

  it('remember when an epoch was over first, and why', () => {
    expect(keyEpochEntry(after(taint(0), revoke(0)), 0)).toMatchObject({ status: 'revoked', endedSeq: 10, reason });
  });

  it('take repeated commands as done', () => {
    expect(decideKeyEpoch(prepare, after(prepare))).toEqual({ ok: true, type: null, keyEpoch: 1 });
    expect(decideKeyEpoch(activate(0), initialKeyEpochs)).toEqual({ ok: true, type: null, keyEpoch: 0 });
    expect(decideKeyEpoch(taint(0), after(taint(0)))).toEqual({ ok: true, type: null, keyEpoch: 0 });
    expect(decideKeyEpoch(revoke(0), after(taint(0), revoke(0)))).toEqual({ ok: true, type: null, keyEpoch: 0 });
  });

  it.each([
    ['an epoch that is not there', activate(7), initialKeyEpochs, 'no-such-key-epoch'],
    ['to activate a superseded one again', activate(0), after(prepare, activate(1)), 'key-epoch-over'],
    ['to activate a tainted one', activate(1), after(prepare, taint(1)), 'key-epoch-over'],
    ['to revoke the active one', revoke(0), initialKeyEpochs, 'key-epoch-active'],
    ['to taint a revoked one', taint(0), after(taint(0), revoke(0)), 'key-epoch-over'],
  ])('refuse %s', (_, command, epochs, code) => {
    expect(decideKeyEpoch(command, epochs)).toMatchObject({ ok: false, code });
  });

  it('never have two active, never lead back, and never use a number twice, whatever is asked', () => {
    const epoch = fc.integer({ min: 0, max: 4 });
    const command = fc.oneof(fc.constant(prepare), epoch.map(activate), epoch.map(taint), epoch.map(revoke));
    const rank = { prepared: 0, active: 1, superseded: 2, tainted: 3, revoked: 4 } as const;
    fc.assert(
      fc.property(fc.array(command, { maxLength: 20 }), command, (commands, last) => {
        const before = after(...commands);
        const now = after(...commands, last);
        expect(now.filter(({ status }) => status === 'active').length).toBeLessThan(2);
        expect(now.map(({ keyEpoch }) => keyEpoch)).toEqual(now.map((_, at) => at));
        for (const { keyEpoch, status } of before) {
          expect(rank[keyEpochEntry(now, keyEpoch)?.status ?? 'prepared']).toBeGreaterThanOrEqual(rank[status]);
        }
      }),
    );
  });
});
