import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseQuote } from '../abi/index.js';
import { type AppraisedEvidence, appraise } from '../appraise/index.js';
import { fromHex, toHex } from '../bytes.js';
import { TEST_NOW, TestPlatform } from '../testing/test-platform.js';
import { verifyParsedQuote } from '../verify/index.js';
import { bindEventLog } from './bind-event-log.js';
import { identityFromEventLog, readIdentity } from './identity.js';
import { parseEventLog } from './parse-event-log.js';
import { extendRtmr, replayRtmr } from './replay.js';
import { RUNTIME_EVENT_TYPE, runtimeEventDigest, runtimeEventPreimage } from './runtime-event.js';
import type { Imr, TdxEvent } from './tdx-event.js';

const hex = (text: string): Uint8Array => fromHex(text) ?? new Uint8Array();
const utf8 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'utf8'));

interface JsonEvent {
  readonly imr: number;
  readonly event_type: number;
  readonly digest: string;
  readonly event: string;
  readonly event_payload: string;
  readonly version?: number;
  readonly preimage?: string;
}

function runtime(event: string, payload = '', version: 1 | 2 = 1): JsonEvent {
  const digest = toHex(runtimeEventDigest(event, hex(payload), version));
  const entry = { imr: 3, event_type: RUNTIME_EVENT_TYPE, digest, event, event_payload: payload };
  if (version === 1) return entry;
  return { ...entry, version, preimage: toHex(runtimeEventPreimage(event, hex(payload), 2)) };
}

const boot = (imr: 0 | 1 | 2, byte: string): JsonEvent => ({
  imr,
  event_type: 10,
  digest: byte.repeat(48),
  event: 'boot',
  event_payload: 'ff',
});

function events(list: readonly JsonEvent[]): readonly TdxEvent[] {
  const result = parseEventLog(JSON.stringify(list));
  if (!result.ok) throw new Error(result.failed.detail);
  return result.events;
}

/** Runtime events of the simulator's published quote (dstack-kms §20.3, R15), with their printed digests. */
const KEY_PROVIDER_R15 =
  '{"name":"kms","id":"3059301306072a8648ce3d020106082a8648ce3d0301070342000419b2457dd9b8aa6446d980f136fff7812ecd6c77740eeb0e28b10d56c0c00028a5b6e59dcea307d583bd1f70769e9c116df2bcfb1758a95d8613e7de1c8482c0"}';
const R15: readonly (readonly [string, string, string])[] = [
  [
    'system-preparing',
    '',
    'f9974020ef507068183313d0ca808e0d1ca9b2d1ad0c61f5784e7157c362c06536f5ddacdad4451693f48fcc72fff624',
  ],
  [
    'app-id',
    '5bb4ff9a3837357f19dc176407a5709c62eb6c56',
    'ddd202447c612b8bb8723d2ce3b9882b7cfc0ede203c36b15639cc80b181b61a7692850c5333a1c6effef82a73d0a4f2',
  ],
  [
    'compose-hash',
    'c143116fef3940e7f776bfc0919c256232ae5338a6e948c96b711e0b2383483a',
    'd8b35b90041c4a31c3b6b46c95a902cf45b25aa8cde3b94a48543c2cb36bc40028c553a8899349e4a47658c6087f2c5f',
  ],
  [
    'instance-id',
    '1691ed1b47506cad7d08834668691d88246f5b1f',
    '33a612f97b0923a36f64db28aaad100f6def4a836e5a8e55f410c215701f1fdb956046fa81817fd73a3ca62a574303b3',
  ],
  [
    'boot-mr-done',
    '',
    '98bd7e6bd3952720b65027fd494834045d06b4a714bf737a06b874638b3ea00ff402f7f583e3e3b05e921c8570433ac6',
  ],
  [
    'os-image-hash',
    'e61be43dd1cc6a6f5edefd7c51b608983780839b0000ce60dd99737dcffe09b9',
    'e35295dc3179aa63a70720ae3e8b3306133717774cca19650d2c2d5c9ae9532359e3a5616703cbca902c6f25940b99bc',
  ],
  [
    'key-provider',
    toHex(utf8(KEY_PROVIDER_R15)),
    'cc0ae424f1335f3059359f712f72f0aebee7a01fba2e4d527f3ea9299bac808a3ea1f8ae2982875fb3c9697fd6f4a5f2',
  ],
  [
    'storage-fs',
    '7a6673',
    'ba51104636900268b0e059fa3d266419d079d1e94aea26fb9fcbb8d764bf4c89a67ac271b8a0d1a3989945132a111fc7',
  ],
  [
    'system-ready',
    '',
    '1a76b2a80a0be71eae59f80945d876351a7a3fb8e9fd1ff1cede5734aa84ea11fd72b4edfbb6f04e5a85edd114c751bd',
  ],
];
const r15 = R15.map(([event, payload]) => runtime(event, payload));

describe('runtime event digests', () => {
  it.each(R15)('R15 %s', (event, payload, digest) => {
    expect(toHex(runtimeEventDigest(event, hex(payload)))).toBe(digest);
  });

  it('version 1 and 2 of the printed formulas', () => {
    expect(toHex(runtimeEventDigest('app-id', hex('deadbeef')))).toBe(
      '67b4be4efed0893cfa2bb1d35dca209ad8348b4c97f980807bcde8b9a0f26398dd0923d6eccb5aa2096d98046da8740f',
    );
    expect(toHex(runtimeEventDigest('compose-hash', hex('abcd'), 2))).toBe(
      '9dde1673f544faa94b921825209593ddde08d0baf9cd6990175dffaf3081f1bb10311d56de189491feb33842a050ad7b',
    );
  });

  it.each([
    ['compose-hash', 'abcd', '{"name":"compose-hash","payload":"abcd","type":134217729}'],
    ['', '', '{"name":"","payload":"","type":134217729}'],
    ['event"with\\special\nchars', 'ff', '{"name":"event\\"with\\\\special\\nchars","payload":"ff","type":134217729}'],
  ])('canonical form of version 2, R5: %j', (event, payload, canonical) => {
    expect(Buffer.from(runtimeEventPreimage(event, hex(payload), 2)).toString('utf8')).toBe(canonical);
  });
});

describe('replay', () => {
  it('R15: whole log and cut at boot-mr-done', () => {
    expect(toHex(replayRtmr(events(r15), 3))).toBe(
      'f28a1490ee924e9396c2ccf2d93ad536b83cbe159a1d45024d1fd7acdcc102145efcfcd0cfa209416446c70226affadf',
    );
    expect(toHex(replayRtmr(events(r15), 3, 'boot-mr-done'))).toBe(
      '161d4d87fecefcad09ed96ba8f901e58eca0f422b8155e2829ef94ce084a757e88c7f4be29df017ed72531e8efb643b7',
    );
  });

  it('mixes versions 1 and 2', () => {
    const mixed = [runtime('app-id', '0102'), runtime('compose-hash', '0304', 2), runtime('instance-id', '0506')];
    expect(toHex(replayRtmr(events(mixed), 3))).toBe(
      '79815fb79fc512fffb0f244ad86bd084a3b1d31049aefd2d49c77a07b9f8476eb6b9ae3fcbdc27fee36018ce9a366bb5',
    );
  });

  it('ignores the listed digest of runtime events: a lying or empty one changes nothing', () => {
    const lying = r15.map((event) => ({ ...event, digest: '00'.repeat(48) }));
    const stripped = r15.map((event) => ({ ...event, digest: '' }));
    const honest = toHex(replayRtmr(events(r15), 3));
    expect(toHex(replayRtmr(events(lying), 3))).toBe(honest);
    expect(toHex(replayRtmr(events(stripped), 3))).toBe(honest);
  });

  it('refuses registers and digests that are not 48 bytes', () => {
    expect(() => extendRtmr(new Uint8Array(48), new Uint8Array(32))).toThrow(RangeError);
  });
});

describe('parseEventLog', () => {
  const one = runtime('app-id', '00'.repeat(20));
  it.each<[string, string]>([
    ['no JSON', '['],
    ['no array', '{}'],
    ['a register 4', JSON.stringify([{ ...one, imr: 4 }])],
    ['a missing field', JSON.stringify([{ ...one, event: undefined }])],
    ['odd hex', JSON.stringify([{ ...one, event_payload: 'abc' }])],
    ['a short digest', JSON.stringify([{ ...one, digest: '00' }])],
    ['an empty digest of a boot event', JSON.stringify([{ ...boot(0, '00'), digest: '' }])],
    ['an event type over 32 bits', JSON.stringify([{ ...one, event_type: 2 ** 32 }])],
    ['version 3', JSON.stringify([{ ...one, version: 3 }])],
    ['version 2 without preimage', JSON.stringify([{ ...one, version: 2 }])],
    [
      'version 2 with the preimage of another payload',
      JSON.stringify([{ ...runtime('a', '01', 2), event_payload: '02' }]),
    ],
    ['version 2 with a lying digest', JSON.stringify([{ ...runtime('a', '01', 2), digest: '00'.repeat(48) }])],
    ['version 2 outside register 3', JSON.stringify([{ ...runtime('a', '01', 2), imr: 2 }])],
    ['a lone surrogate', '[{"imr":3,"event_type":134217729,"digest":"","event":"\\ud800","event_payload":""}]'],
    ['5000 events', JSON.stringify(new Array(5000).fill(one))],
  ])('refuses %s', (_what, text) => {
    expect(parseEventLog(text)).toMatchObject({
      ok: false,
      code: 'EVENT_LOG_FORMAT',
      failed: { name: 'event-log.format' },
    });
  });

  it('answers any text with a value, never an exception', () => {
    fc.assert(
      fc.property(fc.oneof(fc.json(), fc.string()), (text) => {
        expect(parseEventLog(text)).toHaveProperty('ok');
      }),
    );
  });
});

describe('identity', () => {
  it('reads R15', () => {
    const identity = readIdentity(events(r15));
    expect(identity).toMatchObject({
      appId: '5bb4ff9a3837357f19dc176407a5709c62eb6c56',
      composeHash: 'c143116fef3940e7f776bfc0919c256232ae5338a6e948c96b711e0b2383483a',
      instanceId: '1691ed1b47506cad7d08834668691d88246f5b1f',
      osImageHash: 'e61be43dd1cc6a6f5edefd7c51b608983780839b0000ce60dd99737dcffe09b9',
      rootfsHash: null,
      bootMrDone: true,
      systemReady: true,
    });
    expect(Buffer.from(identity.keyProviderInfo ?? []).toString()).toBe(KEY_PROVIDER_R15);
  });

  it('knows a boot that has not reached its keys', () => {
    const identity = readIdentity(events(r15.slice(0, 5)));
    expect(identity).toMatchObject({ osImageHash: null, keyProviderInfo: null, bootMrDone: true, systemReady: false });
  });

  it('ignores what the app emits after system-ready', () => {
    const late = [...r15, runtime('app-id', '99'.repeat(20)), runtime('compose-hash', '99'.repeat(32))];
    expect(readIdentity(events(late)).appId).toBe('5bb4ff9a3837357f19dc176407a5709c62eb6c56');
  });

  it('takes names only from runtime events of register 3', () => {
    const forged = { ...runtime('app-id', '99'.repeat(20)), event_type: 13 };
    const elsewhere = { ...runtime('app-id', '98'.repeat(20)), imr: 2 };
    expect(readIdentity(events([forged, elsewhere, ...r15])).appId).toBe('5bb4ff9a3837357f19dc176407a5709c62eb6c56');
  });

  const refuses: readonly (readonly [string, string, readonly JsonEvent[]])[] = [
    ['a second app-id', 'IDENTITY_DUPLICATE', [...r15.slice(0, 5), runtime('app-id', '99'.repeat(20))]],
    ['an equal second compose-hash', 'IDENTITY_DUPLICATE', [...r15.slice(0, 5), ...r15.slice(2, 3)]],
    ['a second boot-mr-done', 'IDENTITY_DUPLICATE', [...r15.slice(0, 6), runtime('boot-mr-done')]],
    ['another os-image-hash', 'IDENTITY_DUPLICATE', [...r15.slice(0, 6), runtime('os-image-hash', '99'.repeat(32))]],
    ['no app-id', 'IDENTITY_MISSING', r15.filter((event) => event.event !== 'app-id')],
    ['an app-id of 32 bytes', 'IDENTITY_FORMAT', [runtime('app-id', '99'.repeat(32)), ...r15.slice(2)]],
    ['an instance-id of 19 bytes', 'IDENTITY_FORMAT', [...r15.slice(0, 3), runtime('instance-id', '99'.repeat(19))]],
    [
      'six init scripts',
      'IDENTITY_FORMAT',
      [...r15.slice(0, 4), ...new Array<JsonEvent>(6).fill(runtime('init-script-hash', '01'.repeat(32)))],
    ],
  ];
  it.each(refuses)('refuses %s with %s', (_what, code, list) => {
    expect(() => readIdentity(events(list))).toThrow(expect.objectContaining({ code }));
  });

  it('allows an equal repeat of os-image-hash and an empty instance id', () => {
    const list = [...r15.slice(0, 3), runtime('instance-id'), ...r15.slice(4, 6), ...r15.slice(5, 6)];
    expect(readIdentity(events(list))).toMatchObject({ instanceId: '', osImageHash: R15[5]?.[1] });
  });
});

describe('bindEventLog', () => {
  const platform = new TestPlatform();
  const log = [boot(0, '01'), boot(0, '02'), boot(1, '03'), boot(2, '04'), ...r15.slice(0, 5)];

  function evidenceFor(list: readonly JsonEvent[]): AppraisedEvidence {
    const parsed = events(list);
    const rtMrs = ([0, 1, 2, 3] as const satisfies readonly Imr[]).map((imr) => replayRtmr(parsed, imr));
    const quote = parseQuote(platform.quote({ rtMrs }));
    if (!quote.ok) throw new Error(quote.failed.detail);
    const trustAnchors = [platform.trustAnchor];
    const verified = verifyParsedQuote(quote.quote, platform.collateral(), { now: TEST_NOW, trustAnchors });
    if (!verified.ok) throw new Error(verified.failed.detail);
    const result = appraise(verified.quote, { unsafeTrustAnchorAccepted: true });
    if (!result.ok) throw new Error(result.failed.detail);
    return result.evidence;
  }

  it('accepts the log that made the registers, and its identity', () => {
    const result = bindEventLog(evidenceFor(log), JSON.stringify(log));
    if (!result.ok) throw new Error(result.failed.detail);
    expect(result.checks.map((check) => check.outcome)).toEqual(['pass', 'pass', 'pass', 'pass', 'pass']);
    const identity = identityFromEventLog(result.log);
    expect(identity).toMatchObject({
      ok: true,
      identity: { bootMrDone: true },
      checks: [{ name: 'event-log.identity' }],
    });
  });

  it('reports a bad identity as a failed check', () => {
    const twice = [...log, runtime('app-id', '99'.repeat(20))];
    const result = bindEventLog(evidenceFor(twice), JSON.stringify(twice));
    if (!result.ok) throw new Error(result.failed.detail);
    expect(identityFromEventLog(result.log)).toMatchObject({ ok: false, failed: { name: 'event-log.identity' } });
  });

  it.each<[string, string, readonly JsonEvent[]]>([
    ['a dropped boot event', 'event-log.rtmr0', log.slice(1)],
    ['another boot digest', 'event-log.rtmr1', log.map((event) => (event.imr === 1 ? boot(1, '05') : event))],
    ['an event in another register', 'event-log.rtmr1', log.map((event) => (event.imr === 2 ? boot(1, '04') : event))],
    ['an added event', 'event-log.rtmr3', [...log, runtime('system-ready')]],
    [
      'a renamed event',
      'event-log.rtmr3',
      log.map((event) => (event.event === 'app-id' ? { ...event, event: 'app-ie' } : event)),
    ],
    [
      'a changed payload',
      'event-log.rtmr3',
      log.map((event) => (event.event === 'app-id' ? { ...event, event_payload: '99'.repeat(20) } : event)),
    ],
    [
      'swapped events',
      'event-log.rtmr3',
      [...log.slice(0, 5), ...log.slice(6, 7), ...log.slice(5, 6), ...log.slice(7)],
    ],
  ])('refuses %s at %s', (_what, name, list) => {
    expect(bindEventLog(evidenceFor(log), JSON.stringify(list))).toMatchObject({
      ok: false,
      code: 'EVENT_LOG_MISMATCH',
      failed: { name, outcome: 'fail' },
    });
  });

  it('does not bind the payload text of boot events, only their digests', () => {
    const relabelled = log.map((event) => (event.imr < 3 ? { ...event, event_payload: 'aa' } : event));
    expect(bindEventLog(evidenceFor(log), JSON.stringify(relabelled)).ok).toBe(true);
  });
});
