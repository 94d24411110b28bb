import { describe, expect, it } from 'vitest';
import { RpcRequest } from './rpc-request.js';

describe('RPC request fields', () => {
  it('have the defaults of their type when missing', () => {
    const request = new RpcRequest({});
    expect([request.text('a'), request.flag('a'), request.texts('a'), request.seconds('a')]).toEqual([
      '',
      false,
      [],
      undefined,
    ]);
    expect(request.bytes('a')).toHaveLength(0);
  });

  it('take hex with and without 0x, and query texts for flags and numbers', () => {
    const request = new RpcRequest({ a: '0xC0ff', b: 'c0FF', flag: 'true', time: '17', list: 'one' });
    expect(Buffer.from(request.bytes('a'))).toEqual(Buffer.from(request.bytes('b')));
    expect([request.flag('flag'), request.seconds('time'), request.texts('list')]).toEqual([true, 17, ['one']]);
  });

  it.each([
    ['text', { f: 1 }],
    ['bytes', { f: '0xabc' }],
    ['bytes', { f: 'zz' }],
    ['flag', { f: 'yes' }],
    ['texts', { f: [1] }],
    ['seconds', { f: -1 }],
    ['seconds', { f: 1.5 }],
    ['seconds', { f: '1e3' }],
  ] as const)('refuse a wrong %s, naming the field', (kind, fields) => {
    expect(() => new RpcRequest(fields)[kind]('f')).toThrow(/invalid (type|hex): f/);
  });
});
