import { toHex } from '../bytes.js';
import { Refusal } from '../refusal.js';
import type { Certificate } from './certificate.js';
import { DER, DerReader } from './der-reader.js';
import { OID } from './object-identifiers.js';

/** Values of the SGX extension (1.2.840.113741.1.13.1) of a PCK leaf certificate. */
export interface PckExtension {
  /** 16 bytes; dstack's device id is its SHA-256. */
  readonly ppid: Uint8Array;
  /** 16 component SVNs, each 0-255: the defined input of TCB matching. */
  readonly components: Uint8Array;
  readonly pceSvn: number;
  readonly cpuSvn: Uint8Array;
  /** 4 lower-case hex digits. */
  readonly pceId: string;
  /** 12 lower-case hex digits. */
  readonly fmspc: string;
  /** 0 standard, 1 scalable, 2 scalable with integrity. */
  readonly sgxType: number;
  /** Platform CA only, 16 bytes. */
  readonly platformInstanceId: Uint8Array | null;
  readonly configuration: {
    readonly dynamicPlatform: boolean;
    readonly cachedKeys: boolean;
    readonly smtEnabled: boolean;
  } | null;
}

/** Last bytes of the OIDs below 1.2.840.113741.1.13.1. */
const FIELD = {
  ppid: 1,
  tcb: 2,
  pceId: 3,
  fmspc: 4,
  sgxType: 5,
  platformInstanceId: 6,
  configuration: 7,
} as const;
const TCB_FIELD = { components: 16, pceSvn: 17, cpuSvn: 18 } as const;
const CONFIGURATION_FIELD = { dynamicPlatform: 1, cachedKeys: 2, smtEnabled: 3 } as const;

/** Contents of the object identifiers the entries stand below. */
const EXTENSION = Buffer.from(OID.sgxExtension, 'hex');
const TCB = Buffer.from(`${OID.sgxExtension}02`, 'hex');
const CONFIGURATION = Buffer.from(`${OID.sgxExtension}07`, 'hex');

/**
 * Reads the SGX extension of a PCK leaf: a SEQUENCE of (OID, value), 5 entries (Processor CA) or 7 (Platform CA), its TCB
 * exactly 18 (Intel, "Intel SGX PCK Certificate and CRL profile").
 * @throws Refusal `PCK_EXTENSION` or `DER_FORMAT`
 */
export function readPckExtension(certificate: Certificate): PckExtension {
  const value = certificate.extensions.get(OID.sgxExtension);
  if (value === undefined) throw refuse('the PCK certificate has no SGX extension');
  const reader = new DerReader(value);
  const fields = readFields(reader.enter(DER.sequence, 'SGX extension'), EXTENSION);
  reader.expectEnd('SGX extension');
  const tcb = readFields(need(fields, FIELD.tcb).enter(DER.sequence, 'TCB'), TCB);
  if (tcb.size !== TCB_FIELD.cpuSvn) throw refuse(`the TCB has ${tcb.size} entries, not ${TCB_FIELD.cpuSvn}`);
  const components = new Uint8Array(TCB_FIELD.components);
  for (let i = 0; i < components.length; i++) components[i] = need(tcb, i + 1).smallInteger(`component ${i + 1}`, 255);
  const configuration = fields.get(FIELD.configuration);
  return {
    ppid: octets(need(fields, FIELD.ppid), 16, 'PPID'),
    components,
    pceSvn: need(tcb, TCB_FIELD.pceSvn).smallInteger('PCESVN', 65535),
    cpuSvn: octets(need(tcb, TCB_FIELD.cpuSvn), 16, 'CPUSVN'),
    pceId: toHex(octets(need(fields, FIELD.pceId), 2, 'PCEID')),
    fmspc: toHex(octets(need(fields, FIELD.fmspc), 6, 'FMSPC')),
    sgxType: need(fields, FIELD.sgxType).smallInteger('SGX type', 2, DER.enumerated),
    platformInstanceId: fields.has(FIELD.platformInstanceId)
      ? octets(need(fields, FIELD.platformInstanceId), 16, 'platform instance id')
      : null,
    configuration: configuration === undefined ? null : readConfiguration(configuration),
  };
}

/** A deep copy: the values as read are views of the certificate. */
export function copyExtension(extension: PckExtension): PckExtension {
  const { platformInstanceId, configuration } = extension;
  return {
    ...extension,
    ppid: new Uint8Array(extension.ppid),
    components: new Uint8Array(extension.components),
    cpuSvn: new Uint8Array(extension.cpuSvn),
    platformInstanceId: platformInstanceId === null ? null : new Uint8Array(platformInstanceId),
    configuration: configuration === null ? null : { ...configuration },
  };
}

function readConfiguration(reader: DerReader): NonNullable<PckExtension['configuration']> {
  const flags = readFields(reader.enter(DER.sequence, 'configuration'), CONFIGURATION);
  const flag = (field: number): boolean => flags.get(field)?.boolean('configuration flag') ?? false;
  return {
    dynamicPlatform: flag(CONFIGURATION_FIELD.dynamicPlatform),
    cachedKeys: flag(CONFIGURATION_FIELD.cachedKeys),
    smtEnabled: flag(CONFIGURATION_FIELD.smtEnabled),
  };
}

/** Values by the last byte of their OID, which must lie directly under `parent`. Each reader stands before one value. */
function readFields(list: DerReader, parent: Uint8Array): ReadonlyMap<number, DerReader> {
  const fields = new Map<number, DerReader>();
  while (!list.atEnd) {
    const entry = list.enter(DER.sequence, 'SGX extension entry');
    const field = entry.oidBelow(parent, 'SGX extension entry id');
    if (field === undefined) throw refuse(`an entry does not belong below ${toHex(parent)}`);
    if (fields.has(field)) throw refuse(`entry ${field} below ${toHex(parent)} stands twice`);
    const value = entry.aside('SGX extension value');
    entry.expectEnd('SGX extension entry');
    fields.set(field, value);
  }
  return fields;
}

function need(fields: ReadonlyMap<number, DerReader>, field: number): DerReader {
  const reader = fields.get(field);
  if (reader === undefined) throw refuse(`entry ${field} is missing`);
  return reader;
}

function octets(reader: DerReader, sizeBytes: number, field: string): Uint8Array {
  const { content } = reader.next(DER.octetString, field);
  if (content.length !== sizeBytes) throw refuse(`${field} has ${content.length} bytes, not ${sizeBytes}`);
  return content;
}

function refuse(message: string): Refusal {
  return new Refusal('PCK_EXTENSION', message);
}
