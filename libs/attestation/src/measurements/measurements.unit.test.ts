import { describe, expect, it } from 'vitest';
import { fromHex, hashBytes, toHex } from '../bytes.js';
import { deriveMeasurements, deviceId, type TdMeasurements } from './derive-measurements.js';
import { mrConfigIdV1, mrConfigIdV2, mrConfigIdV3 } from './mr-config-id.js';

const hex = (text: string): Uint8Array => fromHex(text) ?? new Uint8Array();
const zero = new Uint8Array(48);

/** The simulator's published quote (dstack-kms §20.3, R15). */
const td: TdMeasurements = {
  mrTd: hex('e53236d44a074bc78e784cdfa1a2c858a5f6b53afc1b60d8f079662314978b64241b646d8498dd767d5ea48e1e115822'),
  rtMr0: hex('6203948b7c12a0c2e14ed9b11170d7b85345870a304bb0959d6c198224ce621fe944e4623af9631cd64eeffdc0d7fa94'),
  rtMr1: hex('0ea1ad399114c5909c52c8b8c073f0c4e076b691495ca7d41f88c5bba6859e3911973ec95adce1503eb43f4670a2c306'),
  rtMr2: hex('1c9854088a35a1c44483d6ba5e88333cf6a7f5b5ec26713f722c80dfc2d2b337346d7fb52452eacda0a8a8fb6fd306f1'),
  rtMr3: hex('f28a1490ee924e9396c2ccf2d93ad536b83cbe159a1d45024d1fd7acdcc102145efcfcd0cfa209416446c70226affadf'),
  mrConfigId: mrConfigIdV1(hex('c143116fef3940e7f776bfc0919c256232ae5338a6e948c96b711e0b2383483a')),
  mrOwner: zero,
  mrOwnerConfig: zero,
};
const keyProvider = Buffer.from(
  '{"name":"kms","id":"3059301306072a8648ce3d020106082a8648ce3d0301070342000419b2457dd9b8aa6446d980f136fff7812ecd6c77740eeb0e28b10d56c0c00028a5b6e59dcea307d583bd1f70769e9c116df2bcfb1758a95d8613e7de1c8482c0"}',
);
const atBoot = hex('161d4d87fecefcad09ed96ba8f901e58eca0f422b8155e2829ef94ce084a757e88c7f4be29df017ed72531e8efb643b7');

describe('deriveMeasurements', () => {
  it('R15, full', () => {
    const derived = deriveMeasurements(td, keyProvider);
    expect(toHex(derived.mrKeyProvider)).toBe('f1fe118a703e9896aabc3f69e449a06061c577dd31021f1f7c2c441caee9c2e1');
    expect(toHex(derived.mrSystem)).toBe('51ea38f8eee6dc72dbae9b74531ae6d6204295d265dabb4e6c34621a2a1a1197');
    expect(toHex(derived.mrAggregated)).toBe('85334a62c97d0f8bf82d0245d31b539d17a2d7c258e2a13efc928aaea0e107cb');
  });

  it('R15, boot time', () => {
    const derived = deriveMeasurements({ ...td, rtMr3: atBoot }, null);
    expect(toHex(derived.mrKeyProvider)).toBe('00'.repeat(32));
    expect(toHex(derived.mrSystem)).toBe('ef6af583432288c877e412740aa7d8a844a18920ad98e9b1d95d42a07a3044c8');
    expect(toHex(derived.mrAggregated)).toBe('787f9fe525fcb61e81f31a30225a86674412088f2f1b683a421a7e9cbcd40551');
  });

  it('leaves the configuration fields out of mr_aggregated only when all three are zero', () => {
    const plain = { ...td, mrConfigId: zero };
    const registers = [td.mrTd, td.rtMr0, td.rtMr1, td.rtMr2, td.rtMr3] as const;
    expect(deriveMeasurements(plain, null).mrAggregated).toEqual(hashBytes('sha256', ...registers));
    const owned = { ...plain, mrOwnerConfig: new Uint8Array(48).fill(1) };
    expect(deriveMeasurements(owned, null).mrAggregated).toEqual(
      hashBytes('sha256', ...registers, zero, zero, owned.mrOwnerConfig),
    );
  });

  it('device id is SHA-256 of the PPID', () => {
    expect(deviceId(new Uint8Array(16))).toEqual(hashBytes('sha256', new Uint8Array(16)));
  });
});

describe('mr_config_id', () => {
  const compose = new Uint8Array(32).fill(0x22);
  const document = `{"app_id":"${'11'.repeat(20)}","compose_hash":"${'22'.repeat(32)}","gpu_policy_hash":"${'55'.repeat(32)}","instance_id":"${'44'.repeat(20)}","key_provider":"kms","key_provider_id":"${'33'.repeat(32)}","version":3}`;

  it('the printed vectors of versions 1, 2 and 3', () => {
    const tail = '00'.repeat(15);
    expect(toHex(mrConfigIdV1(compose))).toBe(`01${'22'.repeat(32)}${tail}`);
    const v2 = mrConfigIdV2(compose, new Uint8Array(20).fill(0x11), 'kms', new Uint8Array(32).fill(0x33));
    expect(toHex(v2)).toBe(`027f2ca741da9d356026ab20ca640abf06198829a128817b091bbc9aec1ed97b60${tail}`);
    const v3 = mrConfigIdV3(Buffer.from(document));
    expect(toHex(v3)).toBe(`0390e5cffa571b22c2ca846872d6fb7b071aa1346f1a1f87f72869c47b39d94099${tail}`);
  });

  it('refuses a compose hash that is not 32 bytes', () => {
    expect(() => mrConfigIdV1(new Uint8Array(20))).toThrow(RangeError);
  });
});
