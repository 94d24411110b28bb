import { type ParsedQuote, processMeasurements, readProcessVmConfig, type TdReport } from '@vouch/attestation';
import { type Finding, fails, holds } from '../checks/check-ledger.js';

/** Which guests this KMS judges besides virtual machines. */
export type ProcessGuests = 'refused' | 'unsafeAccepted';

export interface OsImageFinding extends Finding {
  /** 64 hex digits; empty when the check failed. */
  readonly osImageHash: string;
  readonly isProcessGuest: boolean;
}

/**
 * Check `os-image.measurement`: the boot measurements of the quote are exactly those a genuine boot of the image named in
 * vm_config produces. Process guests have a rule of their own and are only judged when a development KMS accepts them.
 */
export function judgeOsImage(quote: ParsedQuote, vmConfig: string, processGuests: ProcessGuests): OsImageFinding {
  const { report } = quote;
  if (report.kind === 'sgx') return refuse('the quote is not of a TD');
  if (!namesProcessDriver(vmConfig)) {
    return refuse('no measurement rule for this vm_config: only "vouch_driver":"process" has one');
  }
  if (processGuests === 'refused')
    return refuse('process guests are a development weakening and are not accepted here');
  const reading = readProcessVmConfig(vmConfig);
  if (!reading.ok) return refuse(reading.reason);
  const expected = processMeasurements(reading.config);
  for (const register of ['mrTd', 'rtMr0', 'rtMr1', 'rtMr2'] as const) {
    const problem = mismatch(register, expected[register], report);
    if (problem !== undefined) return refuse(problem);
  }
  const { osImageHash } = reading.config;
  return { ...holds(`MRTD and RTMR0-2 are those of process image ${osImageHash}`), osImageHash, isProcessGuest: true };
}

function namesProcessDriver(vmConfig: string): boolean {
  try {
    const json = JSON.parse(vmConfig) as { vouch_driver?: unknown } | null;
    return json?.vouch_driver === 'process';
  } catch {
    return false;
  }
}

function mismatch(
  register: 'mrTd' | 'rtMr0' | 'rtMr1' | 'rtMr2',
  expected: Uint8Array,
  report: TdReport,
): string | undefined {
  const quoted = report[register];
  if (Buffer.compare(expected, quoted) === 0) return undefined;
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
  return `${register} is ${hex(quoted)}, the named image and machine give ${hex(expected)}`;
}

function refuse(detail: string): OsImageFinding {
  return { ...fails(detail), osImageHash: '', isProcessGuest: false };
}
