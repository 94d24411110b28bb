import { describe, expect, it } from 'vitest';
import { isGuestAddress } from './guest-address.js';

describe('guest address', () => {
  it.each(['10.8.0.2', '100.64.0.1', '192.168.1.1', '172.16.0.1', '126.255.255.255', '128.0.0.1', '223.255.255.255'])(
    'allows %s',
    (address) => {
      expect(isGuestAddress(address, false)).toBe(true);
    },
  );

  it.each(['127.64.0.1', '127.100.2.3', '127.127.255.254'])('allows the process guest %s only as unsafe', (address) => {
    expect(isGuestAddress(address, true)).toBe(true);
    expect(isGuestAddress(address, false)).toBe(false);
  });

  it.each([
    '127.0.0.1',
    '127.63.255.255',
    '127.128.0.0',
    '0.0.0.0',
    '0.1.2.3',
    '169.254.169.254',
    '224.0.0.1',
    '255.255.255.255',
    'localhost',
    '10.0.0',
    '10.0.0.256',
    '',
  ])('never allows %j', (address) => {
    expect(isGuestAddress(address, true)).toBe(false);
  });
});
