import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { fromHex, toHex } from '../bytes.js';
import {
  appKeyReportData,
  appReportData,
  grantReportData,
  kmsRootReportData,
  REPORT_DATA_HASHES,
  type ReportDataHash,
  ratlsReportData,
  reportData,
  reportDataHashNamed,
} from './report-data.js';

const content = Buffer.from('test content');
/** SPKI of the app CA key of dstack-kms §20.2. */
const spki =
  fromHex(
    '3059301306072a8648ce3d020106082a8648ce3d0301070342000449bb31594697c7dc9e1fd18eb9cf9d25ed68a38d726e4d673e2989e6328921ad085e94cf64cd5a8d29330145329bfc2350b6ceb91fb14060cb852fb9722bcda8',
  ) ?? new Uint8Array();

describe('reportData', () => {
  it('R4: app-data with sha512', () => {
    expect(toHex(appReportData(content))).toBe(
      '7ea0b744ed5e9c0c83ff9f575668e1697652cd349f2027cdf26f918d4c53e8cd50b5ea9b449b4c3d50e20ae00ec29688d5a214e8daff8a10041f5d624dae8a01',
    );
  });

  it.each<[ReportDataHash, string]>([
    ['sha256', '278fdb367382d9d10871ebb44498a29d54e705fa8924ce0a6fe8629542fc1a65'],
    ['sha384', '3967015e6798cc3d90f60b0a8dd045856e33273c4118dcdf04cc40a051ef8f3c008c73fb6e89d0af961c91a3a73efc5e'],
    ['sha3-256', 'bb98d4376d590cb17968d89250ac8f3d6241c9267d74995121a60766d0a6c665'],
    ['keccak256', '71d9e489e5d4046e8c1a5ef5137a88d940c77db95de9a5eadcde469c4fc50c29'],
    [
      'keccak512',
      'cdf84b140204fe2ab9fe3951887170ddc9e14715b3e70ec9bed03ea72861d3687a684d4da336ca3154c8c9ae426a5afdd97b5ddef4f50a7d4657854f96b1a3e3',
    ],
  ])('app-data with %s, zero-padded', (hash, hex) => {
    expect(toHex(appReportData(content, hash))).toBe(hex.padEnd(128, '0'));
  });

  it('every algorithm gives 64 bytes', () => {
    for (const hash of ['sha3-384', 'sha3-512', 'keccak384'] as const)
      expect(appReportData(content, hash)).toHaveLength(64);
  });

  it('ratls-cert over the SPKI', () => {
    expect(toHex(ratlsReportData(spki))).toBe(
      '61c7fa0d1b60a4519c7f72019a4511cf489f9af34b46dbbe12c966c3850fa252000b61fd420952087f9049b1286f9fbb46c7630b9370e46966ef7702e06c2775',
    );
  });

  it('tags keep contents apart', () => {
    expect(kmsRootReportData(spki)).not.toEqual(ratlsReportData(spki));
  });

  it('raw takes exactly 64 bytes as they are', () => {
    const raw = new Uint8Array(64).fill(9);
    expect(reportData('ignored', raw, 'raw')).toEqual(raw);
    expect(() => reportData('ignored', raw.subarray(1), 'raw')).toThrow(RangeError);
  });

  it('the grant claims are bound under their own tag', () => {
    const claims = '{"challenge":"00","version":1}';
    const expected = createHash('sha512').update(`vouch-grant-v1:${claims}`).digest();
    expect(grantReportData(claims)).toEqual(new Uint8Array(expected));
  });
});

describe('names and other producers', () => {
  it('every algorithm is found by its name, the empty name is sha512, others are unknown', () => {
    for (const name of REPORT_DATA_HASHES) expect(reportDataHashNamed(name)).toBe(name);
    expect(reportDataHashNamed('')).toBe('sha512');
    for (const name of ['SHA256', 'sha-256', 'md5', 'keccak-256', 'constructor']) {
      expect(reportDataHashNamed(name)).toBeUndefined();
    }
  });

  it.each<[ReportDataHash, string]>([
    ['sha256', '57d90585d4b2cce9b2818a7b2a01398d5d2d6a8cb7ca8b735acb8d3203cf8a77'],
    [
      'sha512',
      'e39fd3dbee991d65e65cc38c6e9d664324929816279a19b495bcd3f77a62d81949ba61282d8a732916d39bb9f6a6a16d11211c0d800b6ffc56ecf74419a7c835',
    ],
    ['keccak256', '8ed51239a438104e85ca8d86fa87fbc67c21d00b124c0ff7eceee34309f5f362'],
    ['sha3-256', '393205b584269b6c90c9c2ebea4f782ca50b4d13771568f83c868788dfadb821'],
  ])('Tappd, hello with the default prefix and %s', (hash, expected) => {
    expect(toHex(reportData('app-data', Buffer.from('hello'), hash))).toBe(expected.padEnd(128, '0'));
  });

  it('app keys: the printed report data of path vms', () => {
    const ed25519 = fromHex('e4f6eb7b50267f586ba765766db7ca9487f1a506f6a49026ae09a1c605681bdb') ?? new Uint8Array();
    const k256 = fromHex('03ab7f25d56455d300a1c1f77f57f6d16193e89cdd9edc5c5e2994b446b1f3373d') ?? new Uint8Array();
    expect(Buffer.from(appKeyReportData('ed25519', ed25519)).toString('latin1')).toBe(
      'dip1::ed25519-pk:5Pbre1Amf1hrp2V2bbfKlIfxpQb2pJAmrgmhxgVoG9s\0\0\0\0',
    );
    expect(Buffer.from(appKeyReportData('secp256k1', k256)).toString('latin1')).toBe(
      'dip1::secp256k1c-pk:A6t_JdVkVdMAocH3f1f20WGT6JzdntxcXimUtEax8zc9',
    );
    expect(() => appKeyReportData('ed25519', k256)).toThrow(RangeError);
  });
});
