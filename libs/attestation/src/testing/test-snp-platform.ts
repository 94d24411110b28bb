import { constants, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { concatBytes } from '../bytes.js';
import { AMD_OID } from '../snp/object-identifiers.js';
import {
  P384_NUMBER_BYTES,
  REPORT_FIELD,
  type ReportField,
  SIGNED_BYTES,
  SNP_REPORT_BYTES,
} from '../snp/report-layout.js';
import { type SnpTrustAnchor, snpTrustAnchorFromDer } from '../snp/trust-anchor.js';
import { DER } from '../x509/der-reader.js';
import { OID } from '../x509/object-identifiers.js';
import { bits, boolean, commonName, der, integer, octets, oid, sequence, time } from './der-writer.js';

/** The time the test platform is made for, inside every default window. */
export const SNP_NOW = new Date('2026-01-01T00:00:00Z');
const FROM = new Date('2025-01-01T00:00:00Z');
const UNTIL = new Date('2032-01-01T00:00:00Z');
const CRL_FROM = new Date('2025-12-01T00:00:00Z');
const CRL_UNTIL = new Date('2026-02-01T00:00:00Z');

/** A key with the name and serial it is certified under. */
export interface SnpIdentity {
  readonly name: string;
  readonly serial: number;
  readonly key: KeyObject;
  readonly spki: Uint8Array;
}

export interface SnpCertificateShape {
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  readonly serial?: number;
  readonly isCa?: boolean;
  readonly pathLength?: number;
  /** First byte of the key usage. */
  readonly keyUsage?: number;
  /** Salt length stated in the algorithm, in bytes. */
  readonly saltBytes?: number;
  /** Extensions by OID hex; null leaves one out. */
  readonly extensions?: Readonly<Record<string, Uint8Array | null>>;
}

export interface SnpRevocationShape {
  readonly revoked?: readonly number[];
  readonly thisUpdate?: Date;
  readonly nextUpdate?: Date;
}

/** Levels in the order bootloader, tee, snp, microcode. */
export type Levels = readonly [number, number, number, number];
export const LEVELS: Levels = [4, 1, 23, 213];

export interface SnpReportShape {
  readonly version?: number;
  /** Bytes written over the finished report before it is signed, by field. */
  readonly fields?: Readonly<Partial<Record<ReportField, Uint8Array>>>;
  readonly patch?: Readonly<Record<number, number>>;
  /** Signer; default the VCEK. */
  readonly signer?: SnpIdentity;
}

export const CHIP_ID = new Uint8Array(64).map((_, i) => i + 1);

function rsaIdentity(name: string, serial: number, pair: RsaPair): SnpIdentity {
  return { name, serial, key: pair.key, spki: pair.spki };
}

interface RsaPair {
  readonly key: KeyObject;
  readonly spki: Uint8Array;
}

/** An RSA key takes about a second to make: tests share them. */
export function newRsaPair(modulusLength = 4096): RsaPair {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength });
  return { key: privateKey, spki: new Uint8Array(publicKey.export({ format: 'der', type: 'spki' })) };
}

export function newVek(name: string): SnpIdentity {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' });
  return { name, serial: 0, key: privateKey, spki: new Uint8Array(publicKey.export({ format: 'der', type: 'spki' })) };
}

/** AMD's hierarchy with its own root: genuine structure and signatures, so that verdicts of every kind can be made. */
export class TestSnpPlatform {
  readonly ark: SnpIdentity;
  readonly ask: SnpIdentity;
  readonly asvk: SnpIdentity;
  readonly vcek = newVek('SEV-VCEK');
  readonly vlek = newVek('SEV-VLEK');
  readonly arkDer: Uint8Array;
  readonly askDer: Uint8Array;
  readonly asvkDer: Uint8Array;
  readonly vcekDer: Uint8Array;
  readonly vlekDer: Uint8Array;

  constructor(
    readonly rootPair: RsaPair = newRsaPair(),
    readonly signerPair: RsaPair = newRsaPair(),
  ) {
    this.ark = rsaIdentity('ARK-Test', 0x10000, rootPair);
    this.ask = rsaIdentity('SEV-Test', 0x10001, signerPair);
    this.asvk = rsaIdentity('SEV-VLEK-Test', 0x10101, signerPair);
    this.arkDer = this.root();
    this.askDer = this.signer();
    this.asvkDer = this.signer({}, this.asvk);
    this.vcekDer = this.endorsement();
    this.vlekDer = this.endorsement({ extensions: VLEK_EXTENSIONS }, this.vlek, this.asvk);
  }

  get trustAnchor(): SnpTrustAnchor {
    return snpTrustAnchorFromDer(this.arkDer, 'ARK-Test');
  }

  root(shape: SnpCertificateShape = {}): Uint8Array {
    return certify(this.ark, this.ark, { isCa: true, keyUsage: 0x06, ...shape });
  }

  signer(
    shape: SnpCertificateShape = {},
    identity: SnpIdentity = this.ask,
    issuer: SnpIdentity = this.ark,
  ): Uint8Array {
    return certify(identity, issuer, { isCa: true, pathLength: 0, keyUsage: 0x04, ...shape });
  }

  endorsement(
    shape: SnpCertificateShape = {},
    identity: SnpIdentity = this.vcek,
    issuer: SnpIdentity = this.ask,
  ): Uint8Array {
    const extensions = { ...vekExtensions('Milan-B0', LEVELS), [AMD_OID.hardwareId]: CHIP_ID, ...shape.extensions };
    return certify(identity, issuer, { ...shape, extensions });
  }

  revocationList(shape: SnpRevocationShape = {}, issuer: SnpIdentity = this.ark): Uint8Array {
    const thisUpdate = shape.thisUpdate ?? CRL_FROM;
    const revoked = (shape.revoked ?? []).map((serial) => sequence(integer(serial), time(thisUpdate)));
    const tbs = sequence(
      integer(1),
      pssAlgorithm(),
      commonName(issuer.name),
      time(thisUpdate),
      time(shape.nextUpdate ?? CRL_UNTIL),
      revoked.length === 0 ? new Uint8Array() : sequence(...revoked),
      der(DER.context0, sequence(sequence(oid(OID.crlNumber), octets(integer(1))))),
    );
    return signed(tbs, issuer, pssAlgorithm());
  }

  report(shape: SnpReportShape = {}): Uint8Array {
    const version = shape.version ?? 3;
    const bytes = new Uint8Array(SNP_REPORT_BYTES);
    const put = (field: ReportField, value: Uint8Array | readonly number[]): void =>
      bytes.set(value, REPORT_FIELD[field].offset);
    put('version', [version]);
    put('policy', u64(0x30000n));
    put('signatureAlgorithm', [1]);
    for (const field of ['currentTcb', 'reportedTcb', 'committedTcb', 'launchTcb'] as const)
      put(field, tcbBytes(LEVELS));
    put('platformInfo', u64(0x25n));
    put('reportData', new Uint8Array(64).fill(0x42));
    put('measurement', new Uint8Array(48).fill(0xaa));
    put('hostData', new Uint8Array(32).fill(0xbb));
    put('reportId', new Uint8Array(32).fill(0x11));
    put('reportIdMa', new Uint8Array(32).fill(0xff));
    if (version >= 3) put('cpuFamily', [0x19, 0x01, 0x01]);
    put('chipId', CHIP_ID);
    put('currentVersion', [29, 55, 1]);
    put('committedVersion', [29, 55, 1]);
    for (const [field, value] of Object.entries(shape.fields ?? {})) {
      if (isField(field) && value !== undefined) put(field, value);
    }
    for (const [at, value] of Object.entries(shape.patch ?? {})) bytes[Number(at)] = value;
    return this.sign(bytes, shape.signer ?? this.vcek);
  }

  /** Signs the report in place. */
  sign(bytes: Uint8Array, signer: SnpIdentity = this.vcek): Uint8Array {
    const data = bytes.subarray(0, SIGNED_BYTES);
    const signature = sign('sha384', data, { key: signer.key, dsaEncoding: 'ieee-p1363' });
    bytes.set(signature.subarray(0, P384_NUMBER_BYTES).toReversed(), REPORT_FIELD.signatureR.offset);
    bytes.set(signature.subarray(P384_NUMBER_BYTES).toReversed(), REPORT_FIELD.signatureS.offset);
    return bytes;
  }
}

/** KEY_INFO of a report signed with a VLEK. */
export const SIGNED_WITH_VLEK = new Uint8Array([1 << 2]);

const VLEK_EXTENSIONS = { [AMD_OID.hardwareId]: null, [AMD_OID.cspId]: ia5('cloud.example') } as const;

export function vekExtensions(productName: string, [bootloader, tee, snp, microcode]: Levels) {
  return {
    [AMD_OID.productName]: ia5(productName),
    [AMD_OID.bootloaderSpl]: integer(bootloader),
    [AMD_OID.teeSpl]: integer(tee),
    [AMD_OID.snpSpl]: integer(snp),
    [AMD_OID.microcodeSpl]: integer(microcode),
  };
}

/** TCB_VERSION of Milan and Genoa. */
export function tcbBytes([bootloader, tee, snp, microcode]: Levels): Uint8Array {
  return new Uint8Array([bootloader, tee, 0, 0, 0, 0, snp, microcode]);
}

/** TCB_VERSION of Turin. */
export function turinTcbBytes(fmc: number, [bootloader, tee, snp, microcode]: Levels): Uint8Array {
  return new Uint8Array([fmc, bootloader, tee, snp, 0, 0, 0, microcode]);
}

export function u64(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  return bytes;
}

export function ia5(text: string): Uint8Array {
  return der(0x16, Buffer.from(text, 'latin1'));
}

function isField(name: string): name is ReportField {
  return Object.hasOwn(REPORT_FIELD, name);
}

function certify(subject: SnpIdentity, issuer: SnpIdentity, shape: SnpCertificateShape): Uint8Array {
  const pathLength = shape.pathLength === undefined ? new Uint8Array() : integer(shape.pathLength);
  const extensions: Record<string, Uint8Array | null> = { ...shape.extensions };
  if (shape.isCa === true) extensions[OID.basicConstraints] = sequence(boolean(true), pathLength);
  if (shape.keyUsage !== undefined) extensions[OID.keyUsage] = bits(new Uint8Array([shape.keyUsage]), 1);
  const listed = Object.entries(extensions).flatMap(([id, value]) =>
    value === null ? [] : [sequence(oid(id), octets(value))],
  );
  const algorithm = pssAlgorithm(shape.saltBytes);
  const tbs = sequence(
    der(DER.context0, integer(2)),
    integer(shape.serial ?? subject.serial),
    algorithm,
    commonName(issuer.name),
    sequence(time(shape.notBefore ?? FROM), time(shape.notAfter ?? UNTIL)),
    commonName(subject.name),
    subject.spki,
    der(DER.context3, sequence(...listed)),
  );
  return signed(tbs, issuer, algorithm);
}

function pssAlgorithm(saltBytes = 48): Uint8Array {
  const sha384 = sequence(oid(AMD_OID.sha384), new Uint8Array([5, 0]));
  return sequence(
    oid(AMD_OID.rsassaPss),
    sequence(
      der(0xa0, sha384),
      der(0xa1, sequence(oid(AMD_OID.mgf1), sha384)),
      der(0xa2, integer(saltBytes)),
      der(0xa3, integer(1)),
    ),
  );
}

function signed(tbs: Uint8Array, issuer: SnpIdentity, algorithm: Uint8Array): Uint8Array {
  const key = { key: issuer.key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 48 };
  return sequence(tbs, algorithm, bits(concatBytes(sign('sha384', tbs, key))));
}
