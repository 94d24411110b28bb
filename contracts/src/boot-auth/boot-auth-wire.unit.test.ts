import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bootAuthRequest, readBootAuthRequest, readBootAuthResponse } from './boot-auth-wire.js';

const hash = (byte: string) => byte.repeat(32);
const body = {
  teeVariant: 'dstack-tdx',
  mrAggregated: hash('a1'),
  osImageHash: hash('05'),
  mrSystem: hash('a2'),
  appId: 'aa'.repeat(20),
  composeHash: hash('c1'),
  instanceId: '1b'.repeat(20),
  deviceId: hash('de'),
  keyProviderInfo: '7b7d',
  tcbStatus: 'UpToDate',
  advisoryIds: ['INTEL-SA-1'],
};

describe('a request of an authorisation', () => {
  it('is read and written with the same members', () => {
    const reading = readBootAuthRequest(body);
    expect(reading).toEqual({ ok: true, value: body });
    if (reading.ok) expect(bootAuthRequest(reading.value)).toEqual(body);
  });

  it('may have 0x and upper case, an empty instance id, and leave out what dstack leaves out', () => {
    const {
      teeVariant: _,
      mrSystem: __,
      keyProviderInfo: ___,
      tcbStatus: ____,
      advisoryIds: _____,
      ...required
    } = body;
    const reading = readBootAuthRequest({ ...required, instanceId: '', composeHash: `0x${hash('C1')}`, extra: 1 });
    expect(reading).toEqual({
      ok: true,
      value: {
        ...body,
        instanceId: '',
        teeVariant: '',
        mrSystem: hash('00'),
        keyProviderInfo: '',
        tcbStatus: '',
        advisoryIds: [],
      },
    });
  });

  it.each([
    [{ composeHash: 'c1' }, /composeHash/],
    [{ composeHash: '' }, /composeHash/],
    [{ appId: 'aa'.repeat(19) }, /appId/],
    [{ appId: 'aa'.repeat(21) }, /appId/],
    [{ instanceId: '1b' }, /instanceId/],
    [{ deviceId: hash('zz') }, /deviceId/],
    [{ osImageHash: '' }, /osImageHash/],
    [{ mrAggregated: undefined }, /mrAggregated/],
    [{ tcbStatus: 'x'.repeat(129) }, /tcbStatus/],
    [{ advisoryIds: Array.from({ length: 129 }, () => 'x') }, /advisoryIds/],
    [{ advisoryIds: ['x'.repeat(257)] }, /advisoryIds/],
    [{ keyProviderInfo: '7' }, /keyProviderInfo/],
  ])('with %j is refused, never padded', (change, reason) => {
    expect(readBootAuthRequest({ ...body, ...change })).toEqual({ ok: false, reason: expect.stringMatching(reason) });
  });

  it('never makes the reader throw', () => {
    fc.assert(
      fc.property(fc.anything(), (value) => {
        expect(readBootAuthRequest(value).ok).toBe(false);
        expect(readBootAuthResponse(value).ok).toBe(false);
      }),
    );
  });
});

describe('an answer of an authorisation', () => {
  const answer = { isAllowed: true, gatewayAppId: 'any', reason: '' };
  it('has all three members', () => {
    expect(readBootAuthResponse({ ...answer, more: 1 })).toEqual({ ok: true, value: answer });
  });
  it.each([['isAllowed'], ['gatewayAppId'], ['reason']])('is none without %s', (member) => {
    expect(readBootAuthResponse({ ...answer, [member]: undefined }).ok).toBe(false);
  });
  it.each([['true'], [1], [null]])('is none when isAllowed is %j', (isAllowed) => {
    expect(readBootAuthResponse({ ...answer, isAllowed }).ok).toBe(false);
  });
});
