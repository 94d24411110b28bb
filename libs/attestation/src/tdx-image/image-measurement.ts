import { toHex } from '../bytes.js';
import { type Decoded, decode } from '../encodings/decoded.js';
import { CborReader, CborWriter } from './cbor.js';
import type { TdHobLayout } from './td-hob.js';
import { readTdHobWitness, writeTdHobWitness } from './td-hob-witness.js';

/** What is known of an OS image without its files: the content of `measurement.tdx.cbor`. Digests are SHA-384, 48 bytes. */
export interface TdxImageMeasurement {
  /** 2 is what images before 0.6 carried: the same without a version, and itself the OS image hash. */
  readonly version: 2 | 3;
  readonly commandLineDigest: Uint8Array;
  /** Of the kernel as QEMU patches it at 2 GiB, or 2.75 GiB and more. */
  readonly kernelAuthenticode: Uint8Array;
  readonly initrdDigest: Uint8Array;
  /** Layout of RTMR 0; the only one there is. */
  readonly ovmf: 'pre202505';
  readonly mrTd: { readonly singlePass: Uint8Array; readonly twoPass: Uint8Array };
  readonly tdHob: TdHobLayout;
}

const MAX_DOCUMENT_BYTES = 64 * 1024;
const DIGEST_BYTES = 48;

/** Reads `measurement.tdx.cbor` (dstack-kms §14.2). Check `tdx-measurement.format`; code `TDX_MEASUREMENT_FORMAT`. */
export function readTdxMeasurement(bytes: Uint8Array): Decoded<TdxImageMeasurement> {
  return decode(
    'tdx-measurement.format',
    () => readMeasurement(bytes),
    ({ version, kernelAuthenticode }) => `version ${version}, kernel ${toHex(kernelAuthenticode)}`,
  );
}

/** @throws Refusal `TDX_MEASUREMENT_FORMAT`, `TD_HOB_WITNESS` */
export function readMeasurement(bytes: Uint8Array): TdxImageMeasurement {
  const reader = new CborReader(bytes, 'TDX_MEASUREMENT_FORMAT');
  if (bytes.length > MAX_DOCUMENT_BYTES) throw reader.refuse(`the document has more than ${MAX_DOCUMENT_BYTES} bytes`);
  const digests = new Map<string, Uint8Array>();
  const digest = (field: string) => (): void => {
    digests.set(field, reader.byteString(field, DIGEST_BYTES));
  };
  let version = 2;
  let ovmf = '';
  let witness = new Uint8Array() as Uint8Array;
  reader.map(
    'measurement',
    {
      image: () =>
        reader.map('image', {
          cmdline_sha384: digest('cmdline_sha384'),
          kernel_authenticode: digest('kernel_authenticode'),
          initrd_sha384: digest('initrd_sha384'),
        }),
      tdvf: () =>
        reader.map('tdvf', {
          ovmf: () => {
            ovmf = reader.string('ovmf');
          },
          mrtd: () => reader.map('mrtd', { single_pass: digest('single_pass'), two_pass: digest('two_pass') }),
          td_hob: () => {
            witness = reader.byteString('td_hob');
          },
        }),
    },
    {
      version: () => {
        version = reader.unsigned('version');
        if (version !== 3) throw reader.refuse(`measurement version ${version} is unknown`);
      },
    },
  );
  reader.expectEnd('the document');
  if (ovmf !== 'pre202505') throw reader.refuse(`firmware layout ${JSON.stringify(ovmf)} is unknown`);
  const found = (field: string): Uint8Array => {
    const value = digests.get(field);
    if (value === undefined) throw new Error(`unreachable: map() requires ${field}`);
    return value;
  };
  return {
    version: version === 3 ? 3 : 2,
    commandLineDigest: found('cmdline_sha384'),
    kernelAuthenticode: found('kernel_authenticode'),
    initrdDigest: found('initrd_sha384'),
    ovmf,
    mrTd: { singlePass: found('single_pass'), twoPass: found('two_pass') },
    tdHob: readTdHobWitness(witness),
  };
}

/** Writes `measurement.tdx.cbor` as dstack's image builder does, byte for byte. */
export function writeTdxMeasurement(measurement: TdxImageMeasurement): Uint8Array {
  const writer = new CborWriter();
  if (measurement.version === 3) writer.map(3).string('version').unsigned(3);
  else writer.map(2);
  return writer
    .string('image')
    .map(3)
    .string('cmdline_sha384')
    .byteString(measurement.commandLineDigest)
    .string('kernel_authenticode')
    .byteString(measurement.kernelAuthenticode)
    .string('initrd_sha384')
    .byteString(measurement.initrdDigest)
    .string('tdvf')
    .map(3)
    .string('ovmf')
    .string(measurement.ovmf)
    .string('mrtd')
    .map(2)
    .string('single_pass')
    .byteString(measurement.mrTd.singlePass)
    .string('two_pass')
    .byteString(measurement.mrTd.twoPass)
    .string('td_hob')
    .byteString(writeTdHobWitness(measurement.tdHob))
    .finish();
}
