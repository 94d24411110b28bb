import { describe, expect, it } from 'vitest';
import { readArguments } from './arguments.js';

const complete = {
  '--shared': '/g/shared',
  '--host-socket': '/g/host.sock',
  '--tsm-socket': '/g/tsm.sock',
  '--listen': '/g/dstack.sock',
  '--state': '/g/guest',
  '--address': '127.64.0.1',
};

describe('arguments', () => {
  it('are read, with app.log beside the state folder', () => {
    expect(readArguments(Object.entries(complete).flat())).toEqual({
      shared: '/g/shared',
      hostSocket: '/g/host.sock',
      tsmSocket: '/g/tsm.sock',
      listen: '/g/dstack.sock',
      state: '/g/guest',
      address: '127.64.0.1',
      appLog: '/g/app.log',
    });
  });

  it.each(Object.keys(complete))('are refused without %s', (name) => {
    const args = Object.entries(complete).filter(([key]) => key !== name);
    expect(() => readArguments(args.flat())).toThrow(name);
  });

  it('are refused with unknown names, long socket paths and other addresses', () => {
    const args = (change: Record<string, string>): string[] => Object.entries({ ...complete, ...change }).flat();
    expect(() => readArguments(args({ '--unknown': 'x' }))).toThrow('--unknown');
    expect(() => readArguments(args({ '--listen': `/${'x'.repeat(107)}` }))).toThrow('at most 107 bytes');
    expect(() => readArguments(args({ '--address': 'localhost' }))).toThrow('--address must be an IPv4 address');
  });
});
