import type { BootInfo } from '@vouch/contracts';
import { describe, expect, it } from 'vitest';
import { appInfoBytes } from './app-info.js';

const keyProvider = Buffer.from('{"name":"kms","id":"00"}').toString('hex');
const info: BootInfo = {
  ...{ teeVariant: 'dstack-tdx', appId: '11'.repeat(20), composeHash: '22'.repeat(32), instanceId: '44'.repeat(20) },
  ...{ deviceId: '66'.repeat(32), mrSystem: '77'.repeat(32), mrAggregated: '88'.repeat(32) },
  ...{ osImageHash: '99'.repeat(32), keyProviderInfo: keyProvider, tcbStatus: 'UpToDate', advisoryIds: [] },
};
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

describe('AppInfo of a certificate', () => {
  it('is the array that dstack reads (dstack-kms §20.2)', () => {
    const bin32 = (byte: string) => `c420${byte.repeat(32)}`;
    const expected = [
      ...['99', `c414${'11'.repeat(20)}`, bin32('22'), `c414${'44'.repeat(20)}`, bin32('66'), bin32('77')],
      ...[bin32('88'), bin32('99'), 'c4187b226e616d65223a226b6d73222c226964223a223030227d', '90'],
    ].join('');
    expect(hex(appInfoBytes(info, []))).toBe(expected);
  });

  it('has init scripts as an array, nil without any, and room for long key providers', () => {
    expect(hex(appInfoBytes(info, ['aa'.repeat(32)])).endsWith(`91c420${'aa'.repeat(32)}`)).toBe(true);
    expect(hex(appInfoBytes(info, null)).endsWith('c0')).toBe(true);
    expect(hex(appInfoBytes({ ...info, keyProviderInfo: 'ab'.repeat(300) }, []))).toContain(
      `c5012c${'ab'.repeat(300)}`,
    );
    expect(() => appInfoBytes(info, Array(6).fill('aa'.repeat(32)))).toThrow(RangeError);
  });
});
