import { equalBytes, toHex } from '../../bytes.js';
import type { Check, Refused } from '../../check.js';
import { CheckSheet } from '../../check-sheet.js';
import { readJson } from '../../json-reader.js';
import { Refusal } from '../../refusal.js';
import { bindImageFile } from '../../tdx-image/checksum-file.js';
import type { AppraisedSnpEvidence } from '../appraise-report.js';
import { type SnpVmShape, snpLaunchDigest } from './launch-digest.js';
import { readMeasurement } from './measurement.js';

/** Names of the checks `verifySnpLaunch` reports, in order. */
export const SNP_LAUNCH_CHECKS = ['launch.document', 'launch.os-image', 'launch.measurement'] as const;

export interface SnpLaunchInput {
  /** `sev_snp_measurement` of the guest's configuration: a JSON text (dstack-kms §14.3). */
  readonly document: string;
  /** SHA-256 of the OS image's sha256sum.txt, 32 bytes. */
  readonly osImageHash: Uint8Array;
}

export interface SnpLaunch {
  readonly shape: SnpVmShape;
  readonly cmdline: string;
}

export type VerifySnpLaunchResult =
  | { readonly ok: true; readonly launch: SnpLaunch; readonly checks: readonly Check[] }
  | Refused;

const MEASUREMENT_FILE = 'measurement.snp.cbor';
const FIELDS: ReadonlySet<string> = new Set(['checksum_file', 'measurement', 'vcpus', 'vcpu_type', 'guest_features']);
const MAX = { documentChars: 256 * 1024, vcpus: 512 } as const;

/**
 * Proves that the report's launch digest is that of this OS image on a machine of the stated shape: the checksum file is
 * the image's, the measurement file is in it, and the digest computed from it is the report's. Codes: `SNP_DOCUMENT`,
 * `OS_IMAGE_HASH`, `CHECKSUM_FILE`, `SNP_MEASUREMENT_FORMAT`, `SNP_LAUNCH`, `SNP_LAUNCH_MISMATCH`.
 */
export function verifySnpLaunch({ verified }: AppraisedSnpEvidence, input: SnpLaunchInput): VerifySnpLaunchResult {
  const sheet = new CheckSheet(SNP_LAUNCH_CHECKS);
  const result = sheet.settle((): SnpLaunch => {
    const document = sheet.step(
      'launch.document',
      () => readDocument(input.document),
      ({ shape }) => `${shape.vcpus} ${shape.vcpuType}, guest features 0x${shape.guestFeatures.toString(16)}`,
    );
    sheet.step(
      'launch.os-image',
      () => bindImageFile({ ...input, checksumFile: document.checksumFile }, MEASUREMENT_FILE, document.measurement),
      () => `${MEASUREMENT_FILE} belongs to OS image ${toHex(input.osImageHash)}`,
    );
    return sheet.step(
      'launch.measurement',
      () => {
        const measurement = readMeasurement(document.measurement);
        const digest = snpLaunchDigest(measurement, document.shape);
        if (!equalBytes(digest, verified.report.measurement)) {
          throw new Refusal('SNP_LAUNCH_MISMATCH', `the image launches as ${toHex(digest)}`);
        }
        return { shape: document.shape, cmdline: measurement.cmdline };
      },
      () => toHex(verified.report.measurement),
    );
  });
  return result.ok ? { ok: true, launch: result.value, checks: result.checks } : result;
}

interface LaunchDocument {
  readonly checksumFile: Uint8Array;
  readonly measurement: Uint8Array;
  readonly shape: SnpVmShape;
}

function readDocument(text: string): LaunchDocument {
  if (text.length > MAX.documentChars) throw refuse(`it has ${text.length} characters`);
  const reader = readJson(text, 'sev_snp_measurement', 'SNP_DOCUMENT');
  const document = {
    checksumFile: base64(reader.member('checksum_file').string(), 'checksum_file'),
    measurement: base64(reader.member('measurement').string(), 'measurement'),
    shape: {
      vcpus: reader.member('vcpus').integer(1, MAX.vcpus),
      vcpuType: reader.member('vcpu_type').string(),
      guestFeatures: BigInt(reader.member('guest_features').integer(1, Number.MAX_SAFE_INTEGER)),
    },
  };
  const unknown = reader.members().find((name) => !FIELDS.has(name));
  if (unknown !== undefined) throw refuse(`unknown field ${JSON.stringify(unknown.slice(0, 80))}`);
  return document;
}

/** Standard base64, padded. */
function base64(text: string, field: string): Uint8Array {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.toString('base64') !== text) throw refuse(`${field} is not base64`);
  return new Uint8Array(bytes);
}

function refuse(message: string): Refusal {
  return new Refusal('SNP_DOCUMENT', `sev_snp_measurement is malformed: ${message}`);
}
