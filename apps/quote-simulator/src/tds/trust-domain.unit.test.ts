import { createHash } from 'node:crypto';
import { processVmConfigText } from '@vouch/attestation';
import { describe, expect, it } from 'vitest';
import { TrustDomain } from './trust-domain.js';

const definition = {
  socketPath: '/run/tsm.sock',
  vmConfig: processVmConfigText({ osImageHash: 'cd'.repeat(32), vcpu: 1, memoryMiB: 64 }),
  mrConfigId: '00'.repeat(48),
};
const digest = (name: string) => createHash('sha384').update(name).digest();

function replay(digests: Uint8Array[]): string {
  let register: Uint8Array = new Uint8Array(48);
  for (const each of digests) register = createHash('sha384').update(register).update(each).digest();
  return Buffer.from(register).toString('hex');
}

describe('trust domain', () => {
  it('keeps the order of extensions, and stores each before it shows', async () => {
    const stored: string[] = [];
    const td = new TrustDomain(definition, new Uint8Array(48), async (rtMr3) => {
      await Promise.resolve();
      expect(td.registers().rtMr3).not.toBe(Buffer.from(rtMr3).toString('hex'));
      stored.push(Buffer.from(rtMr3).toString('hex'));
    });
    await Promise.all([td.extend(digest('a')), td.extend(digest('b')), td.extend(digest('c'))]);
    expect(stored).toEqual([
      replay([digest('a')]),
      replay([digest('a'), digest('b')]),
      replay([digest('a'), digest('b'), digest('c')]),
    ]);
    expect(td.registers().rtMr3).toBe(stored[2]);
  });

  it('leaves the register alone when it cannot be stored, and goes on afterwards', async () => {
    let full = true;
    const td = new TrustDomain(definition, new Uint8Array(48), async () => {
      if (full) throw new Error('disk full');
    });
    await expect(td.extend(digest('a'))).rejects.toThrow('disk full');
    expect(td.registers().rtMr3).toBe('00'.repeat(48));
    full = false;
    await td.extend(digest('b'));
    expect(td.registers().rtMr3).toBe(replay([digest('b')]));
  });
});
