import type { AppraisedEvidence } from '../appraise/appraised-evidence.js';
import { equalBytes, toHex } from '../bytes.js';
import type { Check, CheckOutcome } from '../check.js';
import type { TdxEvent } from '../event-log/tdx-event.js';
import { type OsImageFiles, type OsImageSource, OsImageUnavailableError } from '../os-image/os-image-source.js';
import { processMeasurements } from '../process-image/process-measurements.js';
import { readProcessVmConfig } from '../process-image/process-vm-config.js';
import { type AppraiseBootResult, appraiseTdxBoot, appraiseTdxLite } from '../tdx-image/appraise-boot.js';
import { readTdxVmConfig, type TdxVmConfig } from '../tdx-image/vm-config.js';

/** What could be said about the image a guest booted. */
export interface OsImageFinding {
  readonly outcome: CheckOutcome;
  readonly detail: string;
  /** The single steps behind the outcome, `tdx-image.…`; empty where there are none. */
  readonly checks: readonly Check[];
  /** 64 lower-case hex digits; null unless the outcome is `pass`. */
  readonly osImageHash: string | null;
  /** Not a virtual machine: a process of its host on simulated TDX. */
  readonly isProcessGuest: boolean;
  /** From the image's metadata, where the image itself was had. */
  readonly version: string | null;
  readonly isDev: boolean | null;
  /** Whether the ACPI tables were compared with expected ones. */
  readonly acpiJudged: boolean;
}

export interface OsImageQuestion {
  readonly appraised: AppraisedEvidence;
  /** JSON text. */
  readonly vmConfig: string;
  /** Event log as it came, boot events included: RTMR 0 of the quote judges the ACPI digests in it. */
  readonly events: readonly TdxEvent[];
}

/** Compares the boot measurements of a genuine quote with those of the image named in vm_config. */
export type OsImageRule = (question: OsImageQuestion) => Promise<OsImageFinding>;

const UNKNOWN = {
  checks: [],
  osImageHash: null,
  isProcessGuest: false,
  version: null,
  isDev: null,
  acpiJudged: false,
} as const;

/**
 * The rule for every guest that has one: process guests; TDX images whose measurement document stands in vm_config; and,
 * with a source of images, those whose files must be measured. What it cannot judge is skipped and says why.
 */
export function osImageRule(images?: OsImageSource): OsImageRule {
  return async (question) => {
    if (namesProcessDriver(question.vmConfig)) return judgeProcessImage(question);
    const config = readTdxVmConfig(question.vmConfig);
    if (!config.ok) return { ...UNKNOWN, outcome: 'fail', detail: config.failed.detail };
    if (config.value.tdxMeasurement !== null) {
      const { appraised, vmConfig, events } = question;
      return conclude(appraiseTdxLite(appraised, vmConfig, events), config.value, null);
    }
    const osImageHash = toHex(config.value.osImageHash);
    if (images === undefined) {
      const detail = `vm_config carries no measurement of image ${osImageHash}, and no source of images is set up`;
      return { ...UNKNOWN, outcome: 'skipped', detail };
    }
    return judgeImageFiles(question, config.value, images);
  };
}

async function judgeImageFiles(
  { appraised, events }: OsImageQuestion,
  config: TdxVmConfig,
  images: OsImageSource,
): Promise<OsImageFinding> {
  let files: OsImageFiles;
  try {
    files = await images.imageFor(toHex(config.osImageHash));
  } catch (error) {
    if (!(error instanceof OsImageUnavailableError)) throw error;
    return { ...UNKNOWN, outcome: 'skipped', detail: `the image could not be had: ${error.message}` };
  }
  const material = { kind: 'image', image: files.image } as const;
  return conclude(appraiseTdxBoot(appraised, { material, machine: config.machine, events }), config, files);
}

function conclude(result: AppraiseBootResult, config: TdxVmConfig, files: OsImageFiles | null): OsImageFinding {
  const { checks } = result;
  if (!result.ok) {
    const { name, detail } = result.failed;
    return { ...UNKNOWN, checks, outcome: 'fail', detail: `${name}: ${detail}` };
  }
  const osImageHash = toHex(config.osImageHash);
  return {
    outcome: 'pass',
    detail: `MRTD and RTMR0-2 are those of image ${osImageHash} on this machine`,
    checks,
    osImageHash,
    isProcessGuest: false,
    version: files?.version ?? null,
    isDev: files?.isDev ?? null,
    acpiJudged: result.acpiJudged,
  };
}

function judgeProcessImage({ appraised, vmConfig }: OsImageQuestion): OsImageFinding {
  const process = { ...UNKNOWN, isProcessGuest: true } as const;
  const reading = readProcessVmConfig(vmConfig);
  if (!reading.ok) return { ...process, outcome: 'fail', detail: reading.reason };
  const { report } = appraised.verified.quote;
  if (report.kind === 'sgx') return { ...process, outcome: 'fail', detail: 'the quote is not of a TD' };
  const expected = processMeasurements(reading.config);
  for (const register of ['mrTd', 'rtMr0', 'rtMr1', 'rtMr2'] as const) {
    if (equalBytes(expected[register], report[register])) continue;
    const [is, should] = [toHex(report[register]), toHex(expected[register])];
    return { ...process, outcome: 'fail', detail: `${register} is ${is}, the named image and machine give ${should}` };
  }
  const { osImageHash } = reading.config;
  const detail = `MRTD and RTMR0-2 are those of process image ${osImageHash}`;
  return { ...process, outcome: 'pass', detail, osImageHash };
}

function namesProcessDriver(vmConfig: string): boolean {
  try {
    const json = JSON.parse(vmConfig) as { vouch_driver?: unknown } | null;
    return json?.vouch_driver === 'process';
  } catch {
    return false;
  }
}
