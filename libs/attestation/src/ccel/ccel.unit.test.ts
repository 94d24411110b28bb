import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concatBytes } from '../bytes.js';
import { ByteSink } from '../encodings/byte-sink.js';
import { extendRtmr, replayRtmr } from '../event-log/replay.js';
import { parseCcel } from './ccel-events.js';
import { parseTcgEventLog, TCG_ALGORITHMS } from './tcg-event-log.js';

const { sha256, sha384 } = TCG_ALGORITHMS;
const filled = (sizeBytes: number, byte: number): Uint8Array => new Uint8Array(sizeBytes).fill(byte);

function header(
  algorithms: readonly (readonly [number, number])[] = [[sha384, 48]],
  vendor: Uint8Array = new Uint8Array(),
): Uint8Array {
  const content = new ByteSink().raw(Buffer.from('Spec ID Event03\0')).u32(0).u32(0x02000200).u32(algorithms.length);
  for (const [id, sizeBytes] of algorithms) content.u16(id).u16(sizeBytes);
  const bytes = content.u8(vendor.length).raw(vendor).finish();
  return new ByteSink().u32(1).u32(3).raw(filled(20, 0)).u32(bytes.length).raw(bytes).finish();
}

function event(
  register: number,
  type: number,
  data: Uint8Array,
  digests: readonly (readonly [number, Uint8Array])[],
): Uint8Array {
  const sink = new ByteSink().u32(register).u32(type).u32(digests.length);
  for (const [id, digest] of digests) sink.u16(id).raw(digest);
  return sink.u32(data.length).raw(data).finish();
}

const d = (byte: number): readonly (readonly [number, Uint8Array])[] => [[sha384, filled(48, byte)]];
const acpi = Buffer.from('ACPI DATA');
const log = concatBytes(
  header(),
  event(0, 1, filled(2, 1), d(9)), // MRTD: not an RTMR
  event(1, 3, filled(2, 1), d(8)), // EV_NO_ACTION: not measured
  event(1, 10, acpi, d(1)),
  event(1, 10, acpi, d(2)),
  event(1, 10, acpi, d(3)),
  event(2, 0x80000003, filled(5, 7), d(4)),
  event(4, 4, filled(4, 0), d(5)),
);

const code = (result: { readonly ok: boolean; readonly code?: string }): string | undefined =>
  result.ok ? 'ok' : result.code;

describe('raw CCEL', () => {
  it('becomes the events of RTMR 0 to 3, the ACPI ones named, and replays', () => {
    const result = parseCcel(log);
    if (!result.ok) throw new Error(result.failed.detail);
    expect(result.value.map(({ imr, event: name, digest }) => [imr, name, digest[0]])).toEqual([
      [0, 'acpi-loader', 1],
      [0, 'acpi-rsdp', 2],
      [0, 'acpi-tables', 3],
      [1, '', 4],
      [3, '', 5],
    ]);
    expect(replayRtmr(result.value, 1)).toEqual(extendRtmr(new Uint8Array(48), filled(48, 4)));
    expect(replayRtmr(result.value, 2)).toEqual(new Uint8Array(48));
  });

  it.each<readonly [string, Uint8Array]>([
    ['FF to the end', filled(300, 0xff)],
    ['zeros to the end', filled(300, 0)],
    ['three bytes of FF', filled(3, 0xff)],
    ['nothing', filled(0, 0)],
  ])('may be followed by %s', (_name, filling) => {
    const result = parseTcgEventLog(concatBytes(log, filling));
    expect(result).toMatchObject({ ok: true, value: { usedBytes: log.length } });
  });

  it('takes several banks and vendor data, and reads the SHA-384 one', () => {
    const both = concatBytes(
      header(
        [
          [sha256, 32],
          [sha384, 48],
        ],
        filled(7, 1),
      ),
      event(2, 1, filled(0, 0), [
        [sha256, filled(32, 1)],
        [sha384, filled(48, 2)],
      ]),
    );
    const result = parseCcel(both);
    expect(result.ok && result.value[0]?.digest).toEqual(filled(48, 2));
  });

  it.each<readonly [string, Uint8Array]>([
    ['an empty input', new Uint8Array()],
    ['another signature', log.map((byte, at) => (at === 40 ? byte ^ 1 : byte))],
    ['a first event that is not EV_NO_ACTION', log.map((byte, at) => (at === 4 ? 4 : byte))],
    ['a header size that is not its content', log.map((byte, at) => (at === 28 ? byte + 1 : byte))],
    ['no algorithms', header([])],
    [
      'an algorithm twice',
      header([
        [sha384, 48],
        [sha384, 48],
      ]),
    ],
    ['a digest of 0 bytes', header([[sha384, 0]])],
    ['a digest of 65 bytes', header([[sha384, 65]])],
    [
      'an event of an algorithm that is not declared',
      concatBytes(header(), event(1, 1, filled(0, 0), [[sha256, filled(48, 1)]])),
    ],
    [
      'a digest twice',
      concatBytes(
        header([
          [sha384, 48],
          [sha256, 32],
        ]),
        event(1, 1, filled(0, 0), [...d(1), ...d(2)]),
      ),
    ],
    ['more digests than algorithms', concatBytes(header(), event(1, 1, filled(0, 0), [...d(1), ...d(2)]))],
    ['a cut event', log.subarray(0, -1)],
    ['data of 4 GiB', concatBytes(header(), event(1, 1, filled(0, 0), d(1)).slice(0, -4), filled(4, 0xff))],
    ['bytes behind a zero word', concatBytes(log, filled(4, 0), filled(1, 1))],
    ['register 5', concatBytes(header(), event(5, 1, filled(0, 0), d(1)))],
    [
      'an event without SHA-384',
      concatBytes(header([[sha256, 32]]), event(1, 1, filled(0, 0), [[sha256, filled(32, 1)]])),
    ],
    [
      'more than 4096 events',
      concatBytes(header(), ...Array.from({ length: 4097 }, () => event(1, 1, filled(0, 0), []))),
    ],
    ['more than 4 MiB', filled(4 * 1024 * 1024 + 1, 0xff)],
  ])('refuses %s', (_name, bytes) => {
    const result = parseCcel(bytes);
    expect(code(result)).toBe('CCEL_FORMAT');
  });

  it('damaged logs never throw', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(255), fc.nat(), (at, value, cut) => {
        const edited = log.slice();
        edited[at % log.length] = value;
        expect(code(parseCcel(edited))).toMatch(/^(ok|CCEL_FORMAT|EVENT_LOG_FORMAT)$/);
        parseCcel(edited.subarray(0, cut % log.length));
      }),
      { numRuns: 2000 },
    );
  });
});
