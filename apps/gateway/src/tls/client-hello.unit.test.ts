import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { clientHelloMessage, inRecords } from '../testing/client-hello-bytes.js';
import { ClientHelloReader, type ClientHelloReading, MAX_CLIENT_HELLO_BYTES } from './client-hello.js';

const NAME = 'app-443s.example.test';

function readInChunks(bytes: Buffer, chunkBytes: number): { reading: ClientHelloReading; reader: ClientHelloReader } {
  const reader = new ClientHelloReader();
  let reading: ClientHelloReading = { state: 'incomplete' };
  for (let at = 0; at < bytes.length && reading.state === 'incomplete'; at += chunkBytes) {
    reading = reader.push(bytes.subarray(at, at + chunkBytes));
  }
  return { reading, reader };
}

function read(bytes: Buffer): ClientHelloReading {
  return readInChunks(bytes, bytes.length).reading;
}

describe('ClientHello reader', () => {
  it.each([1, 2, 5, 6, 100, 1_000_000])('finds the name in packets of %d bytes, and keeps every byte', (chunkBytes) => {
    const bytes = inRecords(clientHelloMessage({ serverName: NAME, paddingBytes: 1700 }));
    const { reading, reader } = readInChunks(bytes, chunkBytes);
    expect(reading).toEqual({ state: 'complete', serverName: NAME });
    expect(reader.received().equals(bytes)).toBe(true);
  });

  it.each([
    [1, 500],
    [3, 4_000],
    [17, 20_000],
    [16_384, 40_000],
  ])('joins records of %d bytes of a hello padded by %d', (recordBytes, paddingBytes) => {
    const bytes = inRecords(clientHelloMessage({ serverName: NAME, paddingBytes }), recordBytes);
    expect(readInChunks(bytes, 1_400).reading).toEqual({ state: 'complete', serverName: NAME });
  });

  it('says when there is no name, and waits for what is missing', () => {
    expect(read(inRecords(clientHelloMessage({})))).toEqual({ state: 'complete', serverName: undefined });
    const bytes = inRecords(clientHelloMessage({ serverName: NAME }));
    expect(read(bytes.subarray(0, -1))).toEqual({ state: 'incomplete' });
  });

  it('keeps bytes that follow the hello', () => {
    const bytes = Buffer.concat([inRecords(clientHelloMessage({ serverName: NAME })), Buffer.from('early data')]);
    const { reading, reader } = readInChunks(bytes, bytes.length);
    expect(reading.state).toBe('complete');
    expect(reader.received().equals(bytes)).toBe(true);
  });

  it.each([
    ['plain HTTP', Buffer.from('GET / HTTP/1.1\r\n'), 'not-tls'],
    ['one wrong byte', Buffer.from([21]), 'not-tls'],
    ['SSL 2', Buffer.from([22, 2, 0, 0, 9]), 'malformed'],
    ['an empty record', Buffer.from([22, 3, 1, 0, 0]), 'malformed'],
    ['a record over 2^14', Buffer.from([22, 3, 1, 0x40, 1]), 'malformed'],
    ['a server hello', inRecords(Buffer.from([2, 0, 0, 0])), 'malformed'],
    ['a hello that claims to be huge', inRecords(Buffer.from([1, 1, 0, 0])), 'too-large'],
    [
      'an alert between records',
      Buffer.concat([inRecords(Buffer.from([1, 0])), Buffer.from([21, 3, 3, 0, 2])]),
      'malformed',
    ],
    ['two server names', inRecords(clientHelloMessage({ serverName: NAME, twice: true })), 'malformed'],
    ['an empty name', inRecords(clientHelloMessage({ serverName: '' })), 'malformed'],
    ['a name with a zero byte', inRecords(clientHelloMessage({ serverName: 'a\0.test' })), 'malformed'],
    ['a name of 256 bytes', inRecords(clientHelloMessage({ serverName: 'a'.repeat(256) })), 'malformed'],
  ])('refuses %s', (_name, bytes, reason) => {
    expect(read(bytes)).toEqual({ state: 'refused', reason });
  });

  it('refuses a hello that never ends once it is over the limit', () => {
    const endless = inRecords(Buffer.concat([Buffer.from([1, 0, 0xff, 0xff]), Buffer.alloc(MAX_CLIENT_HELLO_BYTES)]));
    expect(readInChunks(endless, 16_384).reading).toEqual({ state: 'refused', reason: 'too-large' });
  });

  it('answers any bytes without throwing', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), fc.integer({ min: 1, max: 50 }), (noise, chunkBytes) => {
        readInChunks(inRecords(Buffer.concat([Buffer.from([1, 0, 0, noise.length]), Buffer.from(noise)])), chunkBytes);
        readInChunks(Buffer.concat([Buffer.from([22]), Buffer.from(noise)]), chunkBytes);
      }),
    );
  });

  it('answers any single flipped byte of a hello without throwing', () => {
    const bytes = inRecords(clientHelloMessage({ serverName: NAME }));
    for (let at = 0; at < bytes.length; at += 1) {
      for (const bit of [1, 0x80]) {
        const flipped = Buffer.from(bytes);
        flipped[at] = (flipped[at] ?? 0) ^ bit;
        read(flipped);
      }
    }
  });
});
