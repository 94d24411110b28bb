import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hashBytes, toHex } from '../bytes.js';
import { hex } from '../testing/sample-attestation.js';
import {
  awsTpmDeviceId,
  composeHash,
  defaultAppId,
  gpuPolicyHash,
  instanceId,
  launchTokenHash,
  nitroEnclaveLegacyDeviceId,
  snpDeviceId,
} from './instance-identity.js';
import { type KeyProviderKind, mrConfigIdV1, mrConfigIdV2, mrConfigIdV3 } from './mr-config-id.js';
import { bindsMrConfigV3, mrConfigVersion, readMrConfigV3, snpHostData, writeMrConfigV3 } from './mr-config-v3.js';
import {
  awsConfigPcr,
  awsTpmMeasurements,
  gcpMeasurements,
  nitroEnclaveMeasurements,
  snpMeasurements,
} from './platform-measurements.js';

const filled = (sizeBytes: number, byte: number): Uint8Array => new Uint8Array(sizeBytes).fill(byte);
const compose = filled(32, 0x22);
const appId = filled(20, 0x11);

describe('ids', () => {
  it('instance id, as printed; a platform key changes it', () => {
    const seed = new Uint8Array(20).map((_, at) => at);
    expect(toHex(instanceId(seed, appId))).toBe('304a02cbeb1d898a28b39535a043b9e4f4175def');
    expect(instanceId(seed, appId, hex('00'))).toEqual(
      hashBytes('sha256', seed, appId, hashBytes('sha256', hex('00'))).slice(0, 20),
    );
    expect(() => instanceId(seed.subarray(1), appId)).toThrow(RangeError);
  });

  it('app id from the compose hash (R12), over raw bytes', () => {
    const hash = hex('86e59625be93207bc2351c4d1bba20037cec8e168da6b18f559af5af657b7a23');
    expect(toHex(defaultAppId(hash))).toBe('86e59625be93207bc2351c4d1bba20037cec8e16');
    expect(toHex(composeHash(Buffer.from('{"runner":"docker-compose"}')))).toBe(
      '1120e42a7b5f2ca50128696ea414771441b4fa92373427108a7173181cc80b55',
    );
    expect(composeHash(Buffer.from('{"runner":"docker-compose"}\n'))).not.toEqual(
      composeHash(Buffer.from('{"runner":"docker-compose"}')),
    );
  });

  it('hashes of the default GPU policy and of a launch token (R8)', () => {
    expect(toHex(gpuPolicyHash('{}'))).toBe('44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a');
    expect(toHex(launchTokenHash('unit-test-launch-token-0000000001'))).toBe(
      '28faa1319055d733ad9651f5ab7689c15b04609846bcd27b3c5bc8df6246f5a3',
    );
  });

  it('device ids: SEV-SNP as printed (R12), NitroTPM, and the enclave id that names nothing', () => {
    const chip =
      '38d174589d2dff97a6d40cb9f9d90b9507c027491219083cef3ce73ed18f7289142d941ad61eabecd27d25f268c1095d665f6001358e98a4769c82734a6bb877';
    expect(toHex(snpDeviceId(hex(chip)))).toBe('310f86e9970d2b625f8a1024f05ea59d540743de63e9017c8c4c0f50a14a10a6');
    expect(awsTpmDeviceId('i-1-tpm2')).toEqual(hashBytes('sha256', Buffer.from('i-1-tpm2')));
    const ids = ['i-0827e799ec9232d44-enc019b5640fdf630d6', 'i-2-enc3'].map(nitroEnclaveLegacyDeviceId);
    expect(ids[0]).toEqual(ids[1]);
    expect(ids[0]).toEqual(hashBytes('sha256', Buffer.from('i')));
  });
});

describe('platform measurements', () => {
  it('SEV-SNP, as printed (R12)', () => {
    const values = snpMeasurements(
      hex('7f51e17f72a04d5422cb2c00998166536019a217376f3aa45a630e59c805a599847ff250dbffcd07e1ba639771d6f05d'),
      hex('783f0057820acb99249af56cc3b07b4e8d80f65183167cba9cf437bb680f742f'),
    );
    expect(toHex(values.mrSystem)).toBe('ebf2076a74c394bd8c68ac10f341dd24e0d80f0411bbeb43f062e2b658309054');
    expect(toHex(values.mrAggregated)).toBe('c7a8e492fcd0167c76f3c64ff20d96648403020f80b38e9384a7432077e4a7a7');
  });

  it('Nitro enclave, as printed (R17)', () => {
    const values = nitroEnclaveMeasurements(
      hex('eb7d0dab08ff41546d7e5659aee883af7b32bb2e58e46815b719f9f7bfae7b880188a10d86317e6509923740526cf74a'),
      hex('0343b056cd8485ca7890ddd833476d78460aed2aa161548e4e26bedf321726696257d623e8805f3f605946b3d8b0c6aa'),
      hex('d7b0a76788c1be24898bd148117ea1239578ba0e72f5d87a33a6c6476026675b6f996940f062e0e3f0b5edd2ddf78811'),
    );
    const expected = '1894b0b29e94a9db16e88a2914f0923e52bb16c08bf3bb484df786a147e2eb79';
    expect(Object.values(values).map((value: Uint8Array) => toHex(value))).toEqual([expected, expected, expected]);
  });

  it('GCP and AWS: every input counts in the measurement it belongs to', () => {
    const gcp = {
      osImageHash: filled(32, 1),
      mrKeyProvider: filled(32, 2),
      pcr0: filled(32, 3),
      pcr2: filled(32, 4),
      pcr14: filled(32, 5),
    };
    expect(gcpMeasurements(gcp)).toEqual({
      mrSystem: hashBytes('sha256', gcp.osImageHash, gcp.mrKeyProvider),
      mrAggregated: hashBytes('sha256', gcp.pcr0, gcp.pcr2, gcp.pcr14),
    });
    const aws = {
      pcr4: filled(48, 1),
      pcr7: filled(48, 2),
      pcr12: filled(48, 3),
      mrKeyProvider: filled(32, 4),
      pcr14: filled(48, 5),
    };
    expect(awsTpmMeasurements(aws)).toEqual({
      mrSystem: hashBytes('sha256', aws.pcr4, aws.pcr7, aws.pcr12, aws.mrKeyProvider),
      mrAggregated: hashBytes('sha256', aws.pcr4, aws.pcr7, aws.pcr12, aws.pcr14),
      bootPcrDigest: hashBytes('sha256', aws.pcr4, aws.pcr7, aws.pcr12),
    });
    expect(awsConfigPcr(mrConfigIdV1(compose))).toEqual(hashBytes('sha384', filled(48, 0), mrConfigIdV1(compose)));
  });
});

describe('mr_config', () => {
  it.each<[KeyProviderKind, Uint8Array, string]>([
    ['none', hex(''), '022b90c730130d4ba9f7669253e5a0fb289b5688914f8e1f81efdf97e6d1142a81'],
    ['local', filled(32, 0x33), '0257edb6ccd079b0a63e4c612e4ac84c0ad905a481f0c8619dccdc3de87882b5ca'],
    ['kms', filled(32, 0x33), '027f2ca741da9d356026ab20ca640abf06198829a128817b091bbc9aec1ed97b60'],
    ['tpm', hex(''), '02d728d791f15fa14f415b0d71c524ec1b0816321ce9c5707e911d55f84eeb4d17'],
  ])('version 2 with %s, as printed', (kind, id, expected) => {
    expect(toHex(mrConfigIdV2(compose, appId, kind, id))).toBe(expected + '00'.repeat(15));
  });

  const config = {
    appId,
    composeHash: compose,
    gpuPolicyHash: filled(32, 0x55),
    instanceId: filled(20, 0x44),
    keyProvider: 'kms',
    keyProviderId: filled(32, 0x33),
  } as const;
  const document = `{"app_id":"${'11'.repeat(20)}","compose_hash":"${'22'.repeat(32)}","gpu_policy_hash":"${'55'.repeat(32)}","instance_id":"${'44'.repeat(20)}","key_provider":"kms","key_provider_id":"${'33'.repeat(32)}","version":3}`;
  const code = (text: string): string => {
    const result = readMrConfigV3(text);
    return result.ok ? 'ok' : result.code;
  };

  it('R9: the version 3 document, its text and its hash', () => {
    expect(writeMrConfigV3(config)).toBe(document);
    expect(readMrConfigV3(document)).toMatchObject({ ok: true, value: config });
    expect(toHex(snpHostData(document))).toBe('90e5cffa571b22c2ca846872d6fb7b071aa1346f1a1f87f72869c47b39d94099');
    expect(bindsMrConfigV3(mrConfigIdV3(Buffer.from(document)), document)).toBe(true);
    expect(bindsMrConfigV3(snpHostData(document), document)).toBe(true);
  });

  it('reads a pretty-printed document, but its text is another measurement', () => {
    const pretty = JSON.stringify(JSON.parse(document), null, 2);
    expect(readMrConfigV3(pretty)).toMatchObject({ ok: true, value: config });
    expect(bindsMrConfigV3(mrConfigIdV3(Buffer.from(document)), pretty)).toBe(false);
  });

  it('minimal and full forms', () => {
    const minimal = { composeHash: compose, keyProvider: 'none' } as const;
    expect(readMrConfigV3(writeMrConfigV3(minimal))).toMatchObject({ ok: true, value: minimal });
    const scripts = { ...config, initScriptHashes: [filled(32, 1), filled(32, 2)] };
    expect(readMrConfigV3(writeMrConfigV3(scripts))).toMatchObject({ ok: true, value: scripts });
    expect(code(`{"compose_hash":"${'22'.repeat(32)}","key_provider":"none","app_id":null}`)).toBe('ok');
  });

  it.each([
    ['an unknown member', document.replace('{', '{"x":1,')],
    ['a member twice', document.replace('{', `{"app_id":"${'22'.repeat(20)}",`)],
    ['a member twice, by an escape', document.replace('{', `{"app\\u005fid":"",`)],
    ['another version', document.replace(':3}', ':2}')],
    ['no compose hash', document.replace('compose_hash', 'instance_iD')],
    ['a short compose hash', document.replace('"2222', '"22')],
    ['an unknown key provider', document.replace('"kms"', '"constructor"')],
    ['no JSON', `${document},`],
    ['an array', '[]'],
    ['a long document', `${document}${' '.repeat(70_000)}`],
  ])('refuses %s', (_name, text) => {
    expect(code(text)).toBe('MR_CONFIG_FORMAT');
  });

  it('versions of ids', () => {
    const version = (id: Uint8Array): unknown => {
      const result = mrConfigVersion(id);
      return result.ok ? result.value : result.code;
    };
    expect(version(filled(48, 0))).toBe('unset');
    expect(version(mrConfigIdV1(compose))).toBe(1);
    expect(version(mrConfigIdV2(compose, appId, 'kms', hex('')))).toBe(2);
    expect(version(mrConfigIdV3(Buffer.from(document)))).toBe(3);
    expect(version(filled(48, 1))).toBe('MR_CONFIG_FORMAT');
    expect(version(filled(47, 0))).toBe('MR_CONFIG_FORMAT');
    const fourth = mrConfigIdV1(compose);
    fourth[0] = 4;
    expect(version(fourth)).toBe('MR_CONFIG_FORMAT');
  });

  it('any text is answered with a value', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        expect(code(text)).toBe('MR_CONFIG_FORMAT');
      }),
    );
  });
});
