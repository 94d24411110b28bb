import { Refusal } from '../refusal.js';
import { DerReader } from '../x509/der-reader.js';
import type { AmdCertificate } from './amd-certificate.js';
import { AMD_OID } from './object-identifiers.js';
import { productOfName, type SnpProduct } from './product.js';
import type { SnpTcbVersion } from './tcb-version.js';

/** What AMD certifies about a versioned endorsement key (KDS specification 57230, certificate extensions). */
export interface EndorsementKey {
  readonly kind: 'VCEK' | 'VLEK';
  /** As written, for example `Milan-B0`. */
  readonly productName: string;
  readonly product: SnpProduct;
  /** The levels the key was derived for. */
  readonly tcb: SnpTcbVersion;
  /** VCEK: 64 bytes, Turin 8. Null for a VLEK. */
  readonly hardwareId: Uint8Array | null;
  /** VLEK: the cloud provider. Null for a VCEK. */
  readonly cspId: string | null;
}

const IA5_STRING = 0x16;
const OCTET_STRING = 0x04;
const HARDWARE_ID_BYTES = { Milan: 64, Genoa: 64, Turin: 8 } as const;

/** True when the certificate carries AMD's patch levels, which only endorsement keys do. */
export function isEndorsementKey(certificate: AmdCertificate): boolean {
  return certificate.extensions.has(AMD_OID.microcodeSpl);
}

/**
 * A VCEK names a chip and no provider, a VLEK a provider and no chip; anything else is refused.
 * @throws Refusal `VEK_EXTENSION` or `DER_FORMAT`
 */
export function readEndorsementKey(certificate: AmdCertificate): EndorsementKey {
  if (certificate.isCa) throw refuse('the endorsement key certificate is a CA');
  const value = (oid: string): Uint8Array | undefined => certificate.extensions.get(oid);
  const productName = text(value(AMD_OID.productName), 'product name');
  const product = productOfName(productName);
  if (product === undefined) throw refuse(`product "${productName}" is not known`);
  const [chip, provider] = [value(AMD_OID.hardwareId), value(AMD_OID.cspId)];
  if ((chip === undefined) === (provider === undefined)) throw refuse('it must name a chip or a provider, not both');
  return {
    kind: chip === undefined ? 'VLEK' : 'VCEK',
    productName,
    product,
    tcb: {
      fmc: product === 'Turin' ? level(value(AMD_OID.fmcSpl), 'FMC level') : null,
      bootloader: level(value(AMD_OID.bootloaderSpl), 'bootloader level'),
      tee: level(value(AMD_OID.teeSpl), 'TEE level'),
      snp: level(value(AMD_OID.snpSpl), 'SNP level'),
      microcode: level(value(AMD_OID.microcodeSpl), 'microcode level'),
    },
    hardwareId: chip === undefined ? null : readHardwareId(chip, product),
    cspId: provider === undefined ? null : text(provider, 'provider'),
  };
}

/** AMD writes the id without a DER tag; newer certificates may wrap it in an OCTET STRING. */
function readHardwareId(value: Uint8Array, product: SnpProduct): Uint8Array {
  const sizeBytes = HARDWARE_ID_BYTES[product];
  if (value.length === sizeBytes) return value;
  const reader = new DerReader(value);
  const { content } = reader.next(OCTET_STRING, 'hardware id');
  reader.expectEnd('hardware id');
  if (content.length !== sizeBytes) throw refuse(`the hardware id has ${content.length} bytes, not ${sizeBytes}`);
  return content;
}

function level(value: Uint8Array | undefined, field: string): number {
  if (value === undefined) throw refuse(`the ${field} is missing`);
  const reader = new DerReader(value);
  const number = reader.smallInteger(field, 255);
  reader.expectEnd(field);
  return number;
}

function text(value: Uint8Array | undefined, field: string): string {
  if (value === undefined) throw refuse(`the ${field} is missing`);
  const reader = new DerReader(value);
  const { content } = reader.next(IA5_STRING, field);
  reader.expectEnd(field);
  return Buffer.from(content).toString('latin1');
}

function refuse(message: string): Refusal {
  return new Refusal('VEK_EXTENSION', message);
}
