import { describe, expect, it } from 'vitest';
import { KmsWorld } from '../testing/kms-world.js';
import { announceRoot } from './announce-root.js';

const announcement = {
  kmsId: 'kms-1',
  contract: 'd5'.repeat(20),
  chainId: 31337,
  policySource: 'contract' as const,
  unsafe: ['unsafePassphraseKeyProvider'],
};

describe('kms.bootstrapped', () => {
  it('is in the log once, until what it says changes', async () => {
    const world = new KmsWorld();
    const announce = (change = {}) =>
      announceRoot(world.root, { ...announcement, ...change }, world.store, world.writer);
    expect(await announce()).toBe('announced');
    expect(await announce()).toBe('unchanged');
    expect(await announce({ contract: 'd6'.repeat(20) })).toBe('announced');
    expect(await announce({ contract: 'd6'.repeat(20) })).toBe('unchanged');
    expect(await world.store.readSubject('evt.kms.kms-1')).toHaveLength(2);
  });

  it('is in the log once when two replicas start at once', async () => {
    const world = new KmsWorld();
    const announce = () => announceRoot(world.root, announcement, world.store, world.writer);
    await Promise.all([announce(), announce()]);
    expect(await world.store.readSubject('evt.kms.kms-1')).toHaveLength(1);
  });
});
