import { concatBytes, isZero } from '../bytes.js';
import type { Check, Refused } from '../check.js';
import { CheckSheet } from '../check-sheet.js';
import { Refusal } from '../refusal.js';
import { hasMandatoryBit, readGuestPolicy } from './guest-policy.js';
import type { ParsedSnpReport, SnpFirmwareVersion, SnpSigningKey } from './parsed-report.js';
import { readPlatformInfo } from './platform-info.js';
import { productOfCpuid, type SnpProduct } from './product.js';
import {
  ECDSA_P384_SHA384,
  P384_NUMBER_BYTES,
  REPORT_FIELD,
  REPORT_VERSIONS,
  type ReportField,
  reservedRanges,
  SIGNED_BYTES,
  SNP_REPORT_BYTES,
} from './report-layout.js';

export type ParseSnpReportResult =
  | { readonly ok: true; readonly report: ParsedSnpReport; readonly checks: readonly Check[] }
  | (Refused & {
      /** Offset in the report at which the format broke, in bytes. */
      readonly offset: number;
    });

/**
 * Parses an SEV-SNP attestation report, versions 2 to 5, of exactly 1184 bytes: check `report.format`. Codes: `SNP_SIZE`,
 * `SNP_VERSION`, `SNP_FORMAT` (reserved bits or bytes), `SNP_ALGORITHM`, `SNP_PRODUCT`. No signature is looked at.
 */
export function parseSnpReport(bytes: Uint8Array): ParseSnpReportResult {
  const sheet = new CheckSheet(['report.format'] as const);
  let offset = 0;
  const result = sheet.settle(() =>
    sheet.step(
      'report.format',
      () => {
        try {
          return readReport(bytes);
        } catch (error) {
          if (error instanceof Refusal) offset = error.offset;
          throw error;
        }
      },
      (report) => `SEV-SNP report version ${report.version}, signed by ${report.signingKey}`,
    ),
  );
  return result.ok ? { ok: true, report: result.value, checks: result.checks } : { ...result, offset };
}

function readReport(input: Uint8Array): ParsedSnpReport {
  if (input.length !== SNP_REPORT_BYTES) {
    throw new Refusal('SNP_SIZE', `a report has ${SNP_REPORT_BYTES} bytes, not ${input.length}`, 0);
  }
  const bytes = input.slice();
  const fields = new ReportFields(bytes);
  const version = readVersion(fields);
  for (const { from, to } of reservedRanges(version)) {
    const bad = bytes.subarray(from, to).findIndex((byte) => byte !== 0);
    if (bad >= 0) throw new Refusal('SNP_FORMAT', `reserved byte 0x${(from + bad).toString(16)} is set`, from + bad);
  }
  const policy = fields.u64('policy');
  if (!hasMandatoryBit(policy)) throw fields.refuse('SNP_FORMAT', 'policy', 'the guest policy has bit 17 clear');
  if (fields.u32('signatureAlgorithm') !== ECDSA_P384_SHA384) {
    throw fields.refuse(
      'SNP_ALGORITHM',
      'signatureAlgorithm',
      'the signature algorithm is not ECDSA P-384 with SHA-384',
    );
  }
  const mitigations = version >= REPORT_VERSIONS.mitigations;
  const report = {
    version,
    guestSvn: fields.u32('guestSvn'),
    policy: readGuestPolicy(policy),
    vmpl: fields.u32('vmpl'),
    platformInfo: readPlatformInfo(fields.u64('platformInfo')),
    ...readKeyInfo(fields),
    ...readByteFields(fields),
    product: readProduct(fields, version),
    currentFirmware: readFirmware(fields, 'currentVersion'),
    committedFirmware: readFirmware(fields, 'committedVersion'),
    launchMitigations: mitigations ? fields.u64('launchMitigations') : null,
    currentMitigations: mitigations ? fields.u64('currentMitigations') : null,
    signedBytes: bytes.subarray(0, SIGNED_BYTES),
    signature: concatBytes(fields.number('signatureR'), fields.number('signatureS')),
    bytes,
  };
  // The stage brand exists only in the type system; this is the one place that gives it.
  return report as unknown as ParsedSnpReport;
}

/** Reads fields of a buffer of the whole report's size by their name. */
class ReportFields {
  private readonly view: DataView;
  constructor(private readonly bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  take(field: ReportField): Uint8Array {
    const { offset, sizeBytes } = REPORT_FIELD[field];
    return this.bytes.subarray(offset, offset + sizeBytes);
  }

  u8(field: ReportField): number {
    return this.view.getUint8(REPORT_FIELD[field].offset);
  }

  u32(field: ReportField): number {
    return this.view.getUint32(REPORT_FIELD[field].offset, true);
  }

  u64(field: ReportField): bigint {
    return this.view.getBigUint64(REPORT_FIELD[field].offset, true);
  }

  /** A P-384 number, 48 bytes big-endian; the rest of the field is reserved and was checked. */
  number(field: ReportField): Uint8Array {
    return this.take(field).subarray(0, P384_NUMBER_BYTES).toReversed();
  }

  refuse(code: string, field: ReportField, message: string): Refusal {
    return new Refusal(code, message, REPORT_FIELD[field].offset);
  }
}

function readVersion(fields: ReportFields): ParsedSnpReport['version'] {
  const version = fields.u32('version');
  if (version === 2 || version === 3 || version === 4 || version === 5) return version;
  const { min, max } = REPORT_VERSIONS;
  throw fields.refuse('SNP_VERSION', 'version', `report version ${version} is not ${min} to ${max}`);
}

/** KEY_INFO: bit 0 author key, bit 1 masked chip key, bits 2-4 signing key, the rest reserved. */
function readKeyInfo(fields: ReportFields): Pick<ParsedSnpReport, 'authorKeyEnabled' | 'chipKeyMasked' | 'signingKey'> {
  const info = fields.u32('keyInfo');
  if (info >>> 5 !== 0) throw fields.refuse('SNP_FORMAT', 'keyInfo', 'reserved bits of the key information are set');
  const kinds: ReadonlyMap<number, SnpSigningKey> = new Map([
    [0, 'VCEK'],
    [1, 'VLEK'],
    [7, 'NONE'],
  ]);
  const signingKey = kinds.get((info >>> 2) & 7);
  if (signingKey === undefined) throw fields.refuse('SNP_FORMAT', 'keyInfo', 'the signing key is of a reserved kind');
  return { authorKeyEnabled: (info & 1) !== 0, chipKeyMasked: (info & 2) !== 0, signingKey };
}

function readByteFields(fields: ReportFields) {
  return {
    familyId: fields.take('familyId'),
    imageId: fields.take('imageId'),
    reportData: fields.take('reportData'),
    measurement: fields.take('measurement'),
    hostData: fields.take('hostData'),
    idKeyDigest: fields.take('idKeyDigest'),
    authorKeyDigest: fields.take('authorKeyDigest'),
    reportId: fields.take('reportId'),
    reportIdMa: fields.take('reportIdMa'),
    chipId: fields.take('chipId'),
    tcbBytes: {
      current: fields.take('currentTcb'),
      reported: fields.take('reportedTcb'),
      committed: fields.take('committedTcb'),
      launch: fields.take('launchTcb'),
    },
  };
}

function readProduct(fields: ReportFields, version: number): SnpProduct | null {
  if (version < REPORT_VERSIONS.cpuid) return null;
  const [family, model] = [fields.u8('cpuFamily'), fields.u8('cpuModel')];
  const product = productOfCpuid(family, model);
  if (product === undefined) {
    const cpu = `family 0x${family.toString(16)} model 0x${model.toString(16)}`;
    throw fields.refuse('SNP_PRODUCT', 'cpuFamily', `no product line is known for ${cpu}`);
  }
  return product;
}

function readFirmware(fields: ReportFields, field: 'currentVersion' | 'committedVersion'): SnpFirmwareVersion {
  const [build = 0, minor = 0, major = 0] = fields.take(field);
  return { major, minor, build };
}

/** True when the host masks the chip id. */
export function isChipIdMasked(report: ParsedSnpReport): boolean {
  return isZero(report.chipId);
}
