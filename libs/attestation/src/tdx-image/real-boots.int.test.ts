import { describe, expect, it } from 'vitest';
import { parseQuote, type TdReport } from '../abi/index.js';
import { fromHex, toHex } from '../bytes.js';
import { readEventLog } from '../event-log/parse-event-log.js';
import { replayRtmr } from '../event-log/replay.js';
import { hex } from '../testing/sample-attestation.js';
import { hasVector, vectorBytes, vectorsPresent, vectorText } from '../testing/vectors.js';
import { acpiOfLog } from './appraise-boot.js';
import { registerOf, rtmr0Digests } from './boot-digests.js';
import { readMeasurement } from './image-measurement.js';
import { predictBoot } from './predict-boot.js';
import { tdHobDigest } from './td-hob.js';
import { readTdHobWitness } from './td-hob-witness.js';
import { readVmConfig } from './vm-config.js';

interface LogEntry {
  readonly id: string;
  readonly file: string;
  readonly perImr: readonly number[];
  readonly matchesQuotes: readonly string[];
  readonly rtmrs: readonly string[];
  readonly declared?: { readonly vm_config?: string };
}

/** Memory ranges of dstack's firmware (R19). */
const layout = readTdHobWitness(hex('80100904000609020b021010'));
const logs: readonly LogEntry[] = vectorsPresent
  ? (JSON.parse(vectorText('corpus/eventlogs.json')) as { readonly logs: readonly LogEntry[] }).logs
  : [];

function report(id: string): TdReport {
  const parsed = parseQuote(vectorBytes(`corpus/quotes/${id}.bin`));
  if (!parsed.ok || parsed.quote.report.kind === 'sgx') throw new Error('not a TDX quote');
  return parsed.quote.report;
}

describe.skipIf(!vectorsPresent)('real boots of dstack images', () => {
  const described = logs.flatMap(({ declared, ...log }) =>
    declared?.vm_config === undefined ? [] : [{ ...log, vmConfig: declared.vm_config }],
  );

  it.each(described)(
    'RTMR 0 of log $id, from memory size and the ACPI digests of its log',
    ({ file, vmConfig, rtmrs }) => {
      const events = readEventLog(vectorText(`corpus/${file}`));
      const memory = (JSON.parse(vmConfig) as { readonly memory_size: number }).memory_size;
      const digests = rtmr0Digests(tdHobDigest(layout, memory), acpiOfLog(events));
      expect(digests.map(toHex)).toEqual(events.filter(({ imr }) => imr === 0).map(({ digest }) => toHex(digest)));
      expect(toHex(registerOf(digests))).toBe(rtmrs[0]);
      expect(toHex(registerOf(rtmr0Digests(tdHobDigest(layout, memory + 2 ** 20), acpiOfLog(events))))).not.toBe(
        rtmrs[0],
      );
    },
  );

  it.each(logs)('RTMR 1 and 2 of log $id have the shape that is predicted', ({ file }) => {
    const events = readEventLog(vectorText(`corpus/${file}`));
    const of = (imr: 1 | 2): readonly string[] =>
      events.filter((event) => event.imr === imr).map(({ digest }) => toHex(digest));
    const kernel = fromHex(of(1)[0] ?? '') ?? new Uint8Array();
    const measurement = {
      version: 3,
      commandLineDigest: hex(of(2)[0] ?? ''),
      kernelAuthenticode: kernel,
      initrdDigest: hex(of(2)[1] ?? ''),
      ovmf: 'pre202505',
      mrTd: { singlePass: new Uint8Array(48), twoPass: new Uint8Array(48) },
      tdHob: layout,
    } as const;
    const machine = { memoryBytes: 2 ** 31, pageAddOrder: 'two-pass' } as const;
    const boot = predictBoot({ kind: 'measurement', measurement }, machine, acpiOfLog(events));
    expect(boot.digests[1].map(toHex)).toEqual(of(1));
    expect(boot.rtMr1).toEqual(replayRtmr(events, 1));
    expect(boot.rtMr2).toEqual(replayRtmr(events, 2));
  });

  const lite = described.filter(({ vmConfig }) => vmConfig.includes('tdx_measurement'));
  it.each(lite)(
    'MRTD and RTMR 0-2 of log $id, from the measurement document in its vm_config',
    ({ file, vmConfig, matchesQuotes }) => {
      const config = JSON.parse(vmConfig) as {
        readonly tdx_measurement: { readonly measurement: string };
      };
      const { tdx_measurement: document, ...rest } = config;
      const measurement = readMeasurement(hex(document.measurement));
      const { machine } = readVmConfig(JSON.stringify(rest));
      const events = readEventLog(vectorText(`corpus/${file}`));
      const boot = predictBoot({ kind: 'measurement', measurement }, machine, acpiOfLog(events));
      const td = report(matchesQuotes[0] ?? '');
      expect([boot.mrTd, boot.rtMr0, boot.rtMr1, boot.rtMr2].map(toHex)).toEqual(
        [td.mrTd, td.rtMr0, td.rtMr1, td.rtMr2].map(toHex),
      );
    },
  );

  it('has cases of each kind', () => {
    expect([logs.length > 5, described.length > 1, lite.length > 0]).toEqual([true, true, true]);
  });
});

/** R18 needs the files of a release image, which are large and not in the vector set: put them there to run it. */
const release = '../images/dstack-0.5.5';
describe.skipIf(!hasVector(`${release}/metadata.json`))('R18: release image 0.5.5, 2 GiB, two passes', () => {
  it('MRTD, RTMR 1 and RTMR 2', () => {
    const metadata = JSON.parse(vectorText(`${release}/metadata.json`)) as Readonly<Record<string, string>>;
    const file = (name: string): Uint8Array => vectorBytes(`${release}/${metadata[name] ?? ''}`);
    const image = {
      firmware: file('bios'),
      kernel: file('kernel'),
      initrd: file('initrd'),
      commandLine: metadata.cmdline ?? '',
    };
    const zero = new Uint8Array(48);
    const acpi = { loader: zero, rsdp: zero, tables: zero };
    const boot = predictBoot({ kind: 'image', image }, { memoryBytes: 2 ** 31, pageAddOrder: 'two-pass' }, acpi);
    expect([boot.mrTd, boot.rtMr1, boot.rtMr2].map(toHex)).toEqual([
      'f06dfda6dce1cf904d4e2bab1dc370634cf95cefa2ceb2de2eee127c9382698090d7a4a13e14c536ec6c9c3c8fa87077',
      'daa9380dc33b14728a9adb222437cf14db2d40ffc4d7061d8f3c329f6c6b339f71486d33521287e8faeae22301f4d815',
      '1c41080c9c74be158e55b92f2958129fc1265647324c4a0dc403292cfa41d4c529f39093900347a11c8c1b82ed8c5edf',
    ]);
  });
});
