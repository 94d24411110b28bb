import { describe, expect, it } from 'vitest';
import { hashBytes, toHex } from '../bytes.js';
import { hex } from '../testing/sample-attestation.js';
import { eventLogJson, parseEventLog } from './parse-event-log.js';
import { replayRtmr } from './replay.js';
import {
  RUNTIME_EVENT_TYPE,
  type RuntimeEvent,
  replayRuntimePcr,
  runtimeEventDigest,
  runtimeEventPreimage,
} from './runtime-event.js';

const utf8 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'utf8'));

describe('printed digests (dstack-kms §20.2, dstack-guest §16.4)', () => {
  it.each<[string, Uint8Array, 1 | 2, string]>([
    [
      'app-id',
      hex('deadbeef'),
      1,
      '67b4be4efed0893cfa2bb1d35dca209ad8348b4c97f980807bcde8b9a0f26398dd0923d6eccb5aa2096d98046da8740f',
    ],
    [
      'system-preparing',
      hex(''),
      1,
      'f9974020ef507068183313d0ca808e0d1ca9b2d1ad0c61f5784e7157c362c06536f5ddacdad4451693f48fcc72fff624',
    ],
    [
      'boot-mr-done',
      hex(''),
      1,
      '98bd7e6bd3952720b65027fd494834045d06b4a714bf737a06b874638b3ea00ff402f7f583e3e3b05e921c8570433ac6',
    ],
    [
      'system-ready',
      hex(''),
      1,
      '1a76b2a80a0be71eae59f80945d876351a7a3fb8e9fd1ff1cede5734aa84ea11fd72b4edfbb6f04e5a85edd114c751bd',
    ],
    [
      'storage-fs',
      utf8('zfs'),
      1,
      'ba51104636900268b0e059fa3d266419d079d1e94aea26fb9fcbb8d764bf4c89a67ac271b8a0d1a3989945132a111fc7',
    ],
    [
      'storage-fs',
      utf8('ext4'),
      1,
      '94eb1c817c35f570ca895b48b46e656e696d1a126581e70022f6f93a8c64d026ece224c6bffbe3bfdfe00bb3447adcd0',
    ],
    [
      'key-provider',
      utf8('{"name":"none","id":""}'),
      1,
      '7f788209b6106d43ad4b0cef85797120c234f175a10b7cb609a73ec1f4285adfe7abca2e1e3d3bd2ba058c2b78d1771d',
    ],
    [
      'compose-hash',
      hex('abcd'),
      2,
      '9dde1673f544faa94b921825209593ddde08d0baf9cd6990175dffaf3081f1bb10311d56de189491feb33842a050ad7b',
    ],
    [
      'system-ready',
      hex(''),
      2,
      '8c748e7cf5aa7ef37f036bd15cb78308279511a408bcd2aab352802cccd79cf07d7d5e4d174c5b311f2d98f35f53ccd6',
    ],
  ])('%s, version %i', (event, payload, version, digest) => {
    expect(toHex(runtimeEventDigest(event, payload, version))).toBe(digest);
    expect(toHex(runtimeEventDigest(`${event}x`, payload, version))).not.toBe(digest);
    expect(toHex(runtimeEventDigest(event, payload, version === 1 ? 2 : 1))).not.toBe(digest);
  });

  it('app-id with SHA-256, as PCR 14 takes it', () => {
    expect(toHex(runtimeEventDigest('app-id', hex('deadbeef'), 1, 'sha256'))).toBe(
      '1e37acb63ad67dd7c04be2f1b4d1cb875bef39447fe4196ab0b8296829fad651',
    );
  });

  it.each([
    ['compose-hash', 'abcd', '{"name":"compose-hash","payload":"abcd","type":134217729}'],
    ['', '', '{"name":"","payload":"","type":134217729}'],
    ['event"with\\special\nchars', 'ff', '{"name":"event\\"with\\\\special\\nchars","payload":"ff","type":134217729}'],
    ['\b\f\n\r\t\u0001', '', '{"name":"\\b\\f\\n\\r\\t\\u0001","payload":"","type":134217729}'],
    ['é🦀', '', '{"name":"é🦀","payload":"","type":134217729}'],
  ])('R5: canonical form of %j', (event, payload, text) => {
    expect(Buffer.from(runtimeEventPreimage(event, hex(payload), 2)).toString('utf8')).toBe(text);
  });
});

describe('replay', () => {
  const mixed: readonly RuntimeEvent[] = [
    { event: 'app-id', payload: hex('0102'), version: 1 },
    { event: 'compose-hash', payload: hex('0304'), version: 2 },
    { event: 'instance-id', payload: hex('0506'), version: 1 },
  ];

  it('mixes versions, as printed', () => {
    expect(toHex(replayRuntimePcr(mixed, 'sha384'))).toBe(
      '79815fb79fc512fffb0f244ad86bd084a3b1d31049aefd2d49c77a07b9f8476eb6b9ae3fcbdc27fee36018ce9a366bb5',
    );
    expect(replayRuntimePcr(mixed.toReversed(), 'sha384')).not.toEqual(replayRuntimePcr(mixed, 'sha384'));
  });

  it('PCR 14 with SHA-256, as printed; until stops behind the named event', () => {
    const list = mixed.map((entry) => ({ ...entry, version: 1 as const }));
    const expected = '0773ef608e08f89c15f732af0a501c45e03cfe7e83d7ebd0fad19e082d8c9cbc';
    expect(toHex(replayRuntimePcr(list.slice(0, 2), 'sha256'))).toBe(expected);
    expect(toHex(replayRuntimePcr(list, 'sha256', 'compose-hash'))).toBe(expected);
    expect(toHex(replayRuntimePcr(list, 'sha256'))).not.toBe(expected);
  });

  it('RTMR 3 after system-preparing and system-ready, as printed, by either way of replaying', () => {
    const list = ['system-preparing', 'system-ready'].map((event) => ({
      event,
      payload: hex(''),
      version: 1 as const,
    }));
    const expected = 'cd30074f9cab184a1adddb9146b33311a00984ff75064a07504a54c74ac7c6b4b1d58c043330b082077adc31215669e8';
    expect(toHex(replayRuntimePcr(list, 'sha384'))).toBe(expected);
    const events = list.map((entry) => ({
      ...entry,
      imr: 3 as const,
      eventType: RUNTIME_EVENT_TYPE,
      digest: hex(''),
      preimage: null,
    }));
    expect(toHex(replayRtmr(events, 3))).toBe(expected);
  });
});

describe('eventLogJson', () => {
  it('writes what parseEventLog reads, version and preimage only where they say something', () => {
    const preimage = runtimeEventPreimage('app-id', hex('0102'), 2);
    const events = [
      {
        imr: 0 as const,
        eventType: 10,
        digest: hex('ab'.repeat(48)),
        event: '',
        payload: hex('00'),
        version: 1 as const,
        preimage: null,
      },
      {
        imr: 3 as const,
        eventType: RUNTIME_EVENT_TYPE,
        digest: hashBytes('sha384', preimage),
        event: 'app-id',
        payload: hex('0102'),
        version: 2 as const,
        preimage,
      },
    ];
    const text = eventLogJson(events);
    expect(parseEventLog(text)).toMatchObject({ ok: true, events });
    expect(text.split('},{')[0]).not.toContain('version');
  });
});
