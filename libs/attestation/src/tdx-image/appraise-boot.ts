import type { AppraisedEvidence } from '../appraise/appraised-evidence.js';
import { equalBytes, toHex } from '../bytes.js';
import type { Check, Refused } from '../check.js';
import { CheckSheet } from '../check-sheet.js';
import { isAcpiEvent, isAcpiType } from '../event-log/acpi-event.js';
import { RTMR_BYTES } from '../event-log/replay.js';
import type { TdxEvent } from '../event-log/tdx-event.js';
import { Refusal } from '../refusal.js';
import type { AcpiDigests } from './boot-digests.js';
import { bindImageFile, TDX_MEASUREMENT_FILE } from './checksum-file.js';
import { readMeasurement } from './image-measurement.js';
import { predictBoot, type TdxBoot, type TdxBootMaterial } from './predict-boot.js';
import { readVmConfig, type TdxMachine } from './vm-config.js';

/** Names of the checks `appraiseTdxBoot` reports, in order. */
export const TDX_BOOT_CHECKS = [
  'tdx-image.acpi-log',
  'tdx-image.predict',
  'tdx-image.mrtd',
  'tdx-image.rtmr0',
  'tdx-image.rtmr1',
  'tdx-image.rtmr2',
  'tdx-image.acpi',
] as const;

/** Names of the checks `appraiseTdxLite` reports, in order. */
export const TDX_LITE_CHECKS = ['tdx-image.vm-config', 'tdx-image.os-image-hash', ...TDX_BOOT_CHECKS] as const;

/** The part of a sheet that serves either list of checks. */
type BootSheet = Pick<CheckSheet<(typeof TDX_BOOT_CHECKS)[number]>, 'step' | 'skip'>;

export interface AppraisedBoot {
  readonly boot: TdxBoot;
  /** True when the ACPI tables were compared with expected ones; false when their digests were taken from the log. */
  readonly acpiJudged: boolean;
}

export type AppraiseBootResult = ({ readonly ok: true; readonly checks: readonly Check[] } & AppraisedBoot) | Refused;

export type AppraiseLiteResult =
  | ({ readonly ok: true; readonly checks: readonly Check[]; readonly osImageHash: Uint8Array } & AppraisedBoot)
  | Refused;

/**
 * Compares an appraised quote's MRTD and RTMR 0-2 with what the image must measure on this machine. The three ACPI digests
 * are read from the event log (full or stripped; a wrong one cannot replay to RTMR 0); without `expectedAcpi` their content
 * stays unjudged and the check says skipped. Codes `ACPI_EVENTS`, `TDX_IMAGE_MISMATCH`, `ACPI_MISMATCH`, and those of
 * `predictTdxBoot`.
 */
export function appraiseTdxBoot(
  evidence: AppraisedEvidence,
  expected: {
    readonly material: TdxBootMaterial;
    readonly machine: TdxMachine;
    readonly events: readonly TdxEvent[];
    readonly expectedAcpi?: AcpiDigests;
  },
): AppraiseBootResult {
  const sheet = new CheckSheet(TDX_BOOT_CHECKS);
  const result = sheet.settle(() => appraiseWith(sheet, evidence, expected));
  return result.ok ? { ok: true, ...result.value, checks: result.checks } : result;
}

/**
 * dstack's "lite" verification from an attestation alone: vm_config names the OS image hash and carries the image's
 * checksum file and measurement document, which must hash up to it. What remains to be decided is whether that OS image
 * hash is an allowed one: it is returned. Codes as `appraiseTdxBoot`, and `VM_CONFIG_FORMAT`, `QEMU_UNSUPPORTED`,
 * `TDX_MEASUREMENT_MISSING`, `OS_IMAGE_HASH`, `CHECKSUM_FILE`, `TDX_MEASUREMENT_FORMAT`, `TD_HOB_WITNESS`.
 */
export function appraiseTdxLite(
  evidence: AppraisedEvidence,
  vmConfig: string,
  events: readonly TdxEvent[],
  options: { readonly expectedAcpi?: AcpiDigests } = {},
): AppraiseLiteResult {
  const sheet = new CheckSheet(TDX_LITE_CHECKS);
  const result = sheet.settle(() => {
    const config = sheet.step(
      'tdx-image.vm-config',
      () => readVmConfig(vmConfig),
      ({ machine }) => `${machine.memoryBytes} bytes of memory, pages added ${machine.pageAddOrder}`,
    );
    const measurement = sheet.step(
      'tdx-image.os-image-hash',
      () => {
        const files = config.tdxMeasurement;
        if (files === null) throw new Refusal('TDX_MEASUREMENT_MISSING', 'vm_config has no tdx_measurement');
        const image = { osImageHash: config.osImageHash, checksumFile: files.checksumFile };
        bindImageFile(image, TDX_MEASUREMENT_FILE, files.measurement);
        return readMeasurement(files.measurement);
      },
      () => `the measurement document belongs to OS image ${toHex(config.osImageHash)}`,
    );
    const { machine } = config;
    const material = { kind: 'measurement', measurement } as const;
    const appraised = appraiseWith(sheet, evidence, { material, machine, events, ...options });
    return { ...appraised, osImageHash: config.osImageHash };
  });
  return result.ok ? { ok: true, ...result.value, checks: result.checks } : result;
}

function appraiseWith(
  sheet: BootSheet,
  evidence: AppraisedEvidence,
  expected: Parameters<typeof appraiseTdxBoot>[1],
): AppraisedBoot {
  const acpi = sheet.step(
    'tdx-image.acpi-log',
    () => acpiOfLog(expected.events),
    () => 'three ACPI measurements in the log',
  );
  const boot = sheet.step(
    'tdx-image.predict',
    () => predictBoot(expected.material, expected.machine, acpi),
    () => `from the ${expected.material.kind}`,
  );
  const { report } = evidence.verified.quote;
  const registers: readonly (readonly ['mrtd' | 'rtmr0' | 'rtmr1' | 'rtmr2', Uint8Array, Uint8Array | undefined])[] = [
    ['mrtd', boot.mrTd, report.kind === 'sgx' ? undefined : report.mrTd],
    ['rtmr0', boot.rtMr0, report.kind === 'sgx' ? undefined : report.rtMr0],
    ['rtmr1', boot.rtMr1, report.kind === 'sgx' ? undefined : report.rtMr1],
    ['rtmr2', boot.rtMr2, report.kind === 'sgx' ? undefined : report.rtMr2],
  ];
  for (const [name, predicted, quoted] of registers) {
    sheet.step(
      `tdx-image.${name}`,
      () => expectRegister(name, predicted, quoted),
      () => toHex(predicted),
    );
  }
  return { boot, acpiJudged: judgeAcpi(sheet, acpi, expected.expectedAcpi) };
}

/**
 * The ACPI digests of a log, by position: names are not measured, and some agents leave the payloads of boot events out. A
 * wrong choice cannot replay to RTMR 0. @throws Refusal `ACPI_EVENTS`
 */
export function acpiOfLog(events: readonly TdxEvent[]): AcpiDigests {
  const [loader, rsdp, tables, ...more] = events.filter(
    (event) => isAcpiEvent(event) || (isAcpiType(event) && event.payload.length === 0),
  );
  if (loader === undefined || rsdp === undefined || tables === undefined || more.length > 0) {
    throw new Refusal('ACPI_EVENTS', 'the log does not have exactly three ACPI events in RTMR 0');
  }
  const digests = { loader: loader.digest, rsdp: rsdp.digest, tables: tables.digest };
  if (Object.values(digests).some((digest) => digest.length !== RTMR_BYTES)) {
    throw new Refusal('ACPI_EVENTS', 'an ACPI event has no digest');
  }
  return digests;
}

function expectRegister(name: string, predicted: Uint8Array, quoted: Uint8Array | undefined): void {
  if (quoted !== undefined && equalBytes(predicted, quoted)) return;
  const found = quoted === undefined ? 'is of an SGX enclave' : `has ${toHex(quoted)}`;
  throw new Refusal(
    'TDX_IMAGE_MISMATCH',
    `the image on this machine measures ${name.toUpperCase()} ${toHex(predicted)}, the quote ${found}`,
  );
}

function judgeAcpi(sheet: BootSheet, logged: AcpiDigests, expected: AcpiDigests | undefined): boolean {
  if (expected === undefined) {
    sheet.skip('tdx-image.acpi', 'not judged: the digests of the ACPI tables were taken from the log');
    return false;
  }
  sheet.step(
    'tdx-image.acpi',
    () => {
      for (const name of ['loader', 'rsdp', 'tables'] as const) {
        if (equalBytes(logged[name], expected[name])) continue;
        throw new Refusal('ACPI_MISMATCH', `ACPI ${name}: ${toHex(logged[name])}, expected ${toHex(expected[name])}`);
      }
    },
    () => 'loader, RSDP and tables are the expected ones',
  );
  return true;
}
