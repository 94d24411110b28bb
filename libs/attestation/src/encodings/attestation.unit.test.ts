import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concatBytes, toHex } from '../bytes.js';
import {
  hex,
  latin1,
  SAMPLE_PLATFORMS,
  sampleAttestation,
  sampleBootEvent,
  sampleRuntimeEvent,
} from '../testing/sample-attestation.js';
import { readAttestation } from './read-attestation.js';
import { TEE_VARIANTS, type VersionedAttestation } from './versioned-attestation.js';
import { stripForCertificate, writeAttestation } from './write-attestation.js';

const zeros = (count: number): Uint8Array => new Uint8Array(count);
const [tdx, gcp, nitro, snp] = SAMPLE_PLATFORMS;
if (tdx?.kind !== 'tdx' || gcp?.kind !== 'gcp-tdx' || nitro === undefined || snp?.kind !== 'sev-snp') throw new Error();

function read(bytes: Uint8Array): VersionedAttestation {
  const result = readAttestation(bytes);
  if (!result.ok) throw new Error(`${result.code}: ${result.failed.detail}`);
  return result.value;
}

function refusal(bytes: Uint8Array): string {
  const result = readAttestation(bytes);
  expect(result.ok).toBe(false);
  return result.ok ? '' : result.code;
}

/** dstack-kms §20.2, v1_msgpack: TDX quote 09 c8, one event app-id 0102, zero report data. */
const V1_VECTOR = hex(
  `83a776657273696f6e01a8706c6174666f726d82a46b696e64a3746478a46461746182a571756f74659209ccc8a96576656e745f6c6f679185a3696d7203aa6576656e745f74797065ce08000001a6646967657374c400a56576656e74a66170702d6964ad6576656e745f7061796c6f6164c4020102a5737461636b82a46b696e64a664737461636ba46461746183ab7265706f72745f64617461dc0040${'00'.repeat(64)}ae72756e74696d655f6576656e74739182a56576656e74a66170702d6964a77061796c6f6164c4020102a6636f6e666967a0`,
);
const v1Vector: VersionedAttestation = {
  version: 1,
  platform: {
    kind: 'tdx',
    quote: hex('09c8'),
    eventLog: [{ ...sampleRuntimeEvent('app-id', hex('0102')), digest: zeros(0) }],
  },
  stack: {
    reportData: zeros(64),
    runtimeEvents: [{ event: 'app-id', payload: hex('0102'), version: 1 }],
    config: '',
    reportDataPayload: null,
  },
};

describe('both encodings', () => {
  it.each(
    SAMPLE_PLATFORMS.flatMap((platform) => [
      [platform.kind, 0, platform] as const,
      [platform.kind, 1, platform] as const,
    ]),
  )('%s, version %i: what is written is read again, and nothing shorter or longer', (_kind, version, platform) => {
    const attestation = sampleAttestation(version, platform);
    const bytes = writeAttestation(attestation);
    expect(read(bytes)).toEqual(attestation);
    expect(writeAttestation(read(bytes))).toEqual(bytes);
    expect(refusal(concatBytes(bytes, zeros(1)))).toBe('ATTESTATION_FORMAT');
    expect(refusal(bytes.subarray(0, -1))).toBe('ATTESTATION_FORMAT');
  });

  it('names of the TEE variants', () => {
    expect(SAMPLE_PLATFORMS.map(({ kind }) => TEE_VARIANTS[kind])).toEqual([
      'dstack-tdx',
      'dstack-gcp-tdx',
      'dstack-nitro-enclave',
      'dstack-amd-sev-snp',
      'dstack-aws-nitro-tpm',
    ]);
  });

  it('refuses what no version starts with, nothing at all, and more than 10 MiB', () => {
    for (const first of [0x01, 0x7f, 0x90, 0xdc, 0xdd, 0xe0, 0xff]) {
      expect(refusal(new Uint8Array([first, 0, 0]))).toBe('ATTESTATION_VERSION');
    }
    expect(refusal(zeros(0))).toBe('ATTESTATION_SIZE');
    expect(refusal(zeros(10 * 1024 * 1024 + 1))).toBe('ATTESTATION_SIZE');
  });

  it('says where the format broke', () => {
    const result = readAttestation(hex('0005'));
    expect(result).toMatchObject({ ok: false, code: 'ATTESTATION_FORMAT', offset: 1 });
    expect(result.ok ? '' : result.failed.name).toBe('attestation.format');
  });

  it('refuses events that no verifier may take: a short digest, a fifth register', () => {
    const short = { ...sampleBootEvent(0, 1), digest: zeros(47) };
    for (const version of [0, 1] as const) {
      const bytes = writeAttestation(sampleAttestation(version, { ...tdx, eventLog: [short] }));
      expect(refusal(bytes)).toBe('EVENT_LOG_FORMAT');
      const fifth = { ...sampleBootEvent(0, 1), imr: 4 as unknown as 3 };
      expect(refusal(writeAttestation(sampleAttestation(version, { ...tdx, eventLog: [fifth] })))).toBe(
        'ATTESTATION_FORMAT',
      );
    }
  });
});

describe('version 0 (SCALE)', () => {
  it('cannot carry version 2 events, a pod payload or short report data', () => {
    const event = sampleRuntimeEvent('app-id', hex('0102'), 2);
    expect(() => writeAttestation(sampleAttestation(0, { ...tdx, eventLog: [event] }))).toThrow(RangeError);
    expect(() => writeAttestation(sampleAttestation(0, nitro, { reportDataPayload: '' }))).toThrow(RangeError);
    expect(() => writeAttestation(sampleAttestation(0, nitro, { reportData: zeros(63) }))).toThrow(RangeError);
  });

  it('empty TDX evidence is 70 bytes', () => {
    const empty = sampleAttestation(
      0,
      { kind: 'tdx', quote: zeros(0), eventLog: [] },
      { reportData: zeros(64), runtimeEvents: [], config: '' },
    );
    expect(writeAttestation(empty)).toEqual(zeros(70));
    expect(read(zeros(70))).toEqual(empty);
  });

  it('refuses lengths that are not minimal and counts beyond the input before allocating', () => {
    expect(refusal(concatBytes(hex('00000100'), zeros(68)))).toBe('ATTESTATION_FORMAT'); // quote of length 0 in two bytes
    expect(refusal(hex('0000feffffff'))).toBe('ATTESTATION_FORMAT'); // quote of 2^30 - 1 bytes
    expect(refusal(hex('000003ffffffff'))).toBe('ATTESTATION_FORMAT'); // of 2^32 - 1 bytes
    expect(refusal(concatBytes(hex('0000000140'), zeros(99)))).toBe('ATTESTATION_FORMAT'); // 4096 events in 99 bytes
  });

  it('refuses text that is not UTF-8', () => {
    const bytes = writeAttestation(sampleAttestation(0, nitro, { config: 'aa' }));
    bytes[bytes.length - 1] = 0xff;
    expect(refusal(bytes)).toBe('ATTESTATION_FORMAT');
  });
});

describe('version 1 (MessagePack)', () => {
  it('the printed vector, read and written', () => {
    expect(read(V1_VECTOR)).toEqual(v1Vector);
    expect(toHex(writeAttestation(v1Vector))).toBe(toHex(V1_VECTOR));
  });

  it('the printed vector with any one byte of its structure edited is refused or reads as something else', () => {
    // A digest that goes by another name is an unknown member, and absent; it is empty in the vector anyway.
    const digestKey = Buffer.from(V1_VECTOR).indexOf('digest');
    for (let at = 0; at < V1_VECTOR.length; at++) {
      if (at >= digestKey && at < digestKey + 6) continue;
      const edited = V1_VECTOR.slice();
      edited[at] = (edited[at] ?? 0) ^ 0x01;
      const result = readAttestation(edited);
      if (result.ok) expect(result.value).not.toEqual(v1Vector);
    }
  });

  it('byte typing: a quote as bin is refused, a digest as array is taken', () => {
    const asBin = toHex(V1_VECTOR).replace('a571756f74659209ccc8', 'a571756f7465c40209c8');
    expect(refusal(hex(asBin))).toBe('ATTESTATION_FORMAT');
    const asArray = toHex(V1_VECTOR).replace('a6646967657374c400', 'a664696765737490');
    expect(read(hex(asArray))).toEqual(v1Vector);
  });

  it('another version, data before kind, a missing or repeated member', () => {
    const text = toHex(V1_VECTOR);
    expect(refusal(hex(text.replace('a776657273696f6e01', 'a776657273696f6e02')))).toBe('ATTESTATION_VERSION');
    expect(refusal(hex('82a776657273696f6e01a8706c6174666f726d82a464617461c0a46b696e64a3746478'))).toBe(
      'ATTESTATION_FORMAT',
    );
    expect(refusal(hex('81a776657273696f6e01'))).toBe('ATTESTATION_FORMAT');
    expect(refusal(hex('82a776657273696f6e01a776657273696f6e01'))).toBe('ATTESTATION_FORMAT');
  });

  it('unknown members of every kind are skipped, however deep', () => {
    const deep = `${'91'.repeat(5000)}c0`;
    const values = [
      'c0',
      'c3',
      'ff',
      'd0ff',
      'cd0100',
      'ca00000000',
      'cb0000000000000000',
      'c40100',
      'd90141',
      'c7010500',
      'd60500000000',
      'dc00020102',
      '81a161a162',
      deep,
    ];
    for (const value of values) {
      const extended = toHex(V1_VECTOR).replace(/^83/, `84a178${value}`);
      expect(read(hex(extended))).toEqual(v1Vector);
    }
    expect(refusal(hex(toHex(V1_VECTOR).replace(/^83/, '84a178c1')))).toBe('ATTESTATION_FORMAT');
    expect(refusal(hex(toHex(V1_VECTOR).replace(/^83/, '84a178ddffffffff')))).toBe('ATTESTATION_FORMAT');
  });

  it('keeps version and preimage of events, and the payload of a pod', () => {
    const event = sampleRuntimeEvent('compose-hash', hex('abcd'), 2);
    const pod = sampleAttestation(
      1,
      { ...tdx, eventLog: [event] },
      { runtimeEvents: [{ event: 'compose-hash', payload: hex('abcd'), version: 2 }], reportDataPayload: '{"k":1}' },
    );
    expect(read(writeAttestation(pod))).toEqual(pod);
    const forged = { ...event, preimage: Buffer.from('{"name":"compose-hash","payload":"abce","type":134217729}') };
    expect(refusal(writeAttestation(sampleAttestation(1, { ...tdx, eventLog: [forged] })))).toBe('EVENT_LOG_FORMAT');
  });
});

describe('stripForCertificate', () => {
  it('TDX keeps runtime events without digests and the ACPI events by name', () => {
    const acpi = [1, 2, 3].map((byte) => sampleBootEvent(0, byte, latin1('ACPI DATA')));
    const runtime = sampleRuntimeEvent('app-id', hex('0102'));
    const other = { ...sampleBootEvent(1, 9), imr: 3 as const };
    const full = sampleAttestation(0, {
      ...tdx,
      eventLog: [sampleBootEvent(0, 8), ...acpi, sampleBootEvent(2, 5), runtime, other],
    });
    const stripped = stripForCertificate(full);
    expect(stripped.platform).toEqual({
      ...tdx,
      eventLog: [
        { ...acpi[0], event: 'acpi-loader' },
        { ...acpi[1], event: 'acpi-rsdp' },
        { ...acpi[2], event: 'acpi-tables' },
        { ...runtime, digest: zeros(0) },
        { ...other, payload: zeros(0) },
      ],
    });
    expect(read(writeAttestation(stripped))).toEqual(stripped);
    expect(stripForCertificate(stripped)).toEqual(stripped);
  });

  it('a version 2 event keeps its digest, or nobody could read it again', () => {
    const event = sampleRuntimeEvent('app-id', hex('0102'), 2);
    const stripped = stripForCertificate(sampleAttestation(1, { ...tdx, eventLog: [event] }));
    expect(stripped.platform).toEqual({ ...tdx, eventLog: [event] });
    expect(read(writeAttestation(stripped))).toEqual(stripped);
  });

  it('GCP keeps runtime events only, others are left alone', () => {
    const stripped = stripForCertificate(sampleAttestation(0, gcp));
    expect(stripped.platform.kind === 'gcp-tdx' && stripped.platform.eventLog.map(({ imr }) => imr)).toEqual([3, 3]);
    expect(stripForCertificate(sampleAttestation(0, snp))).toEqual(sampleAttestation(0, snp));
  });
});

describe('hostile bytes', () => {
  const valid = SAMPLE_PLATFORMS.flatMap((platform) =>
    ([0, 1] as const).map((version) => writeAttestation(sampleAttestation(version, platform))),
  );

  it('never throw, and what is accepted is written again without loss', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...valid),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }),
        fc.option(fc.nat()),
        (bytes, edits, cut) => {
          const edited = bytes.slice(0, cut === null ? bytes.length : cut % bytes.length);
          for (const [at, value] of edits) if (edited.length > 0) edited[at % edited.length] = value;
          const result = readAttestation(edited);
          if (result.ok) expect(read(writeAttestation(result.value))).toEqual(result.value);
          else expect(result.code).toMatch(/^(ATTESTATION|EVENT_LOG)_/);
        },
      ),
      { numRuns: 3000 },
    );
  });

  it('random bytes never throw', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('00', '0000', '0001', '83', 'df'),
        fc.uint8Array({ maxLength: 300 }),
        (start, rest) => {
          readAttestation(concatBytes(hex(start), rest));
        },
      ),
      { numRuns: 3000 },
    );
  });
});
