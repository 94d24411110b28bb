import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BootInfo, BootKind } from '../boot-info.js';
import { judgeByPolicyFile, parsePolicyFile } from './policy-file.js';

const hash = (byte: string) => byte.repeat(32);
const APP = 'aa'.repeat(20);
const COMPOSE = hash('c1');
const IMAGE = hash('05');
const DEVICE = hash('de');
const MR = hash('a1');

const info: BootInfo = {
  teeVariant: 'dstack-tdx',
  appId: APP,
  composeHash: COMPOSE,
  instanceId: '',
  deviceId: DEVICE,
  mrAggregated: MR,
  mrSystem: hash('a2'),
  osImageHash: IMAGE,
  keyProviderInfo: '',
  tcbStatus: 'UpToDate',
  advisoryIds: [],
};

const file = {
  gatewayAppId: 'any',
  osImages: [`0x${IMAGE.toUpperCase()}`],
  kms: { mrAggregated: [MR], devices: [DEVICE], allowAnyDevice: false },
  apps: { [`0x${APP.toUpperCase()}`]: { composeHashes: [COMPOSE], devices: [DEVICE], allowAnyDevice: false } },
};

function judge(content: object, kind: BootKind = 'app', change: Partial<BootInfo> = {}) {
  const reading = parsePolicyFile(JSON.stringify(content));
  if (!reading.ok) throw new Error(reading.reason);
  return judgeByPolicyFile(reading.policy, kind, { ...info, ...change });
}

describe('a policy file', () => {
  it('allows what it lists, whatever the case and prefix of its hex', () => {
    expect(judge(file)).toEqual({ isAllowed: true, reason: '', gatewayAppId: 'any' });
    expect(judge(file, 'kms')).toEqual({ isAllowed: true, reason: '', gatewayAppId: 'any' });
  });

  it("refuses in auth-simple's order, with its words", () => {
    const wrong = {
      tcbStatus: 'OutOfDate',
      advisoryIds: ['INTEL-SA-1'],
      osImageHash: hash('00'),
      composeHash: hash('00'),
    };
    const order: [Partial<BootInfo>, string][] = [
      [{ ...wrong, appId: '00'.repeat(20), deviceId: hash('00') }, 'TCB status is not allowed'],
      [{ ...wrong, tcbStatus: 'UpToDate', appId: '00'.repeat(20) }, 'advisory ID is not allowed'],
      [{ osImageHash: hash('00'), appId: '00'.repeat(20) }, 'OS image is not allowed'],
      [{ appId: '00'.repeat(20), composeHash: hash('00') }, 'app not registered'],
      [{ composeHash: hash('00'), deviceId: hash('00') }, 'compose hash not allowed'],
      [{ deviceId: hash('00') }, 'app is not allowed to boot on this device'],
    ];
    for (const [change, reason] of order)
      expect(judge(file, 'app', change)).toMatchObject({ isAllowed: false, reason });
    expect(judge(file, 'kms', { mrAggregated: hash('00') }).reason).toBe('aggregated MR not allowed');
    expect(judge(file, 'kms', { deviceId: hash('00') }).reason).toBe('KMS is not allowed to boot on this device');
  });

  it('denies every device when its list is empty, unless any device is allowed by name', () => {
    const apps = (app: object) => ({ ...file, apps: { [APP]: app } });
    expect(judge(apps({ composeHashes: [COMPOSE] })).isAllowed).toBe(false);
    expect(judge(apps({ composeHashes: [COMPOSE], devices: [] })).isAllowed).toBe(false);
    expect(judge(apps({ composeHashes: [COMPOSE], allowAnyDevice: true })).isAllowed).toBe(true);
    expect(judge({ ...file, kms: { mrAggregated: [MR] } }, 'kms').isAllowed).toBe(false);
    expect(judge({ ...file, kms: { mrAggregated: [MR], allowAnyDevice: true } }, 'kms').isAllowed).toBe(true);
    expect(judge({ ...file, kms: { allowAnyDevice: true } }, 'kms').reason).toBe('aggregated MR not allowed');
  });

  it('takes other TCB statuses and advisories only when it lists them', () => {
    const lenient = {
      ...file,
      allowedTcbStatuses: ['UpToDate', 'SWHardeningNeeded'],
      allowedAdvisoryIds: ['INTEL-SA-1'],
    };
    const boot = { tcbStatus: 'SWHardeningNeeded', advisoryIds: ['INTEL-SA-1'] };
    expect(judge(lenient, 'app', boot).isAllowed).toBe(true);
    expect(judge(lenient, 'app', { ...boot, advisoryIds: ['INTEL-SA-1', 'INTEL-SA-2'] }).isAllowed).toBe(false);
    expect(judge(file, 'app', boot).isAllowed).toBe(false);
  });

  it('allows nothing when it says nothing', () => {
    expect(judge({})).toMatchObject({ isAllowed: false, reason: 'OS image is not allowed', gatewayAppId: '' });
  });

  it.each([
    ['', /empty/],
    ['   \n', /empty/],
    ['{', /not JSON/],
    ['[]', /expected object/],
    ['null', /expected object/],
    [JSON.stringify({ ...file, osImages: ['05'] }), /osImages\.0: must be 32 bytes/],
    [JSON.stringify({ ...file, osImages: IMAGE }), /osImages/],
    [JSON.stringify({ ...file, apps: { beef: {} } }), /apps\.beef/],
    [JSON.stringify({ ...file, apps: { [APP]: { allowAnyDevice: 'true' } } }), /allowAnyDevice/],
    [JSON.stringify({ ...file, allowedTcbStatuses: [''] }), /allowedTcbStatuses\.0/],
    [JSON.stringify({ ...file, chainId: '1' }), /chainId/],
  ])('is no policy when its text is %j', (content, reason) => {
    expect(parsePolicyFile(content)).toEqual({ ok: false, reason: expect.stringMatching(reason) });
  });

  it('never throws and never allows, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (content) => {
        const reading = parsePolicyFile(content);
        expect(reading.ok && judgeByPolicyFile(reading.policy, 'app', info).isAllowed).toBe(false);
      }),
      { numRuns: 500 },
    );
  });
});
