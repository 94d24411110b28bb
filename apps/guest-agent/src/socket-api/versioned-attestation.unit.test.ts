import { describe, expect, it } from 'vitest';
import { versionedAttestation } from './versioned-attestation.js';

const empty = {
  quote: new Uint8Array(),
  eventLog: [],
  runtimeEvents: [],
  reportData: new Uint8Array(64),
  config: '',
};
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

describe('VersionedAttestation', () => {
  it('has the layout of dstack’s CSR vectors R2 and R3: an empty one, and one with quote 09', () => {
    expect(hex(versionedAttestation(empty))).toBe('00'.repeat(70));
    expect(hex(versionedAttestation({ ...empty, quote: Uint8Array.of(9) }))).toBe(`00000409${'00'.repeat(67)}`);
  });

  it('writes events, lengths of one, two and four bytes, and the report data', () => {
    const event = { imr: 3, event_type: 0x08000001, digest: 'ab', event: 'app-id', event_payload: '0102' };
    const quote = new Uint8Array(100);
    const config = 'x'.repeat(1 << 14);
    const bytes = versionedAttestation({
      quote,
      eventLog: [event],
      runtimeEvents: [{ event: 'app-id', payload: Uint8Array.of(1, 2) }],
      reportData: new Uint8Array(64).fill(7),
      config,
    });
    const name = Buffer.from('app-id').toString('hex');
    expect(hex(bytes)).toBe(
      `00009101${'00'.repeat(100)}040300000001000008` +
        `04ab18${name}080102` +
        `0418${name}080102${'07'.repeat(64)}02000100${Buffer.from(config).toString('hex')}`,
    );
  });
});
