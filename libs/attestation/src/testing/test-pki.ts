import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { concatBytes, fromHex } from '../bytes.js';
import { DER } from '../x509/der-reader.js';
import { OID } from '../x509/object-identifiers.js';
import { bits, boolean, commonName, der, integer, octets, oid, sequence, time } from './der-writer.js';

/** A key with the name it is certified under. */
export interface TestIdentity {
  readonly name: string;
  readonly key: KeyObject;
  readonly spki: Uint8Array;
  /** x ‖ y. */
  readonly point: Uint8Array;
  readonly serial: number;
}

export interface CertificateShape {
  readonly isCa: boolean;
  readonly pathLength?: number;
  readonly notBefore?: Date;
  readonly notAfter?: Date;
  /** DER value of the SGX extension. */
  readonly sgxExtension?: Uint8Array;
  /** Left out on purpose by negative tests. */
  readonly omit?: readonly string[];
}

const ALGORITHM = sequence(oid(OID.ecdsaWithSha256));
const FROM = new Date('2020-01-01T00:00:00Z');
const UNTIL = new Date('2045-01-01T00:00:00Z');

export function newIdentity(name: string, serial: number): TestIdentity {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }));
  return { name, key: privateKey, spki, point: spki.slice(-64), serial };
}

/** ECDSA P-256 / SHA-256, r ‖ s. */
export function signRaw(signer: TestIdentity, data: Uint8Array): Uint8Array {
  return new Uint8Array(sign('sha256', data, { key: signer.key, dsaEncoding: 'ieee-p1363' }));
}

export function certify(subject: TestIdentity, issuer: TestIdentity, shape: CertificateShape): Uint8Array {
  const keyUsage = shape.isCa ? bits(new Uint8Array([0x06]), 1) : bits(new Uint8Array([0xc0]), 6);
  const pathLength = shape.pathLength === undefined ? new Uint8Array() : integer(shape.pathLength);
  const extensions = new Map<string, Uint8Array>([
    [OID.authorityKeyId, sequence(der(0x80, new Uint8Array(20)))],
    [OID.crlDistributionPoints, sequence()],
    [OID.subjectKeyId, octets(new Uint8Array(20))],
    [OID.keyUsage, keyUsage],
    [OID.basicConstraints, sequence(shape.isCa ? boolean(true) : new Uint8Array(), pathLength)],
  ]);
  if (shape.sgxExtension !== undefined) extensions.set(OID.sgxExtension, shape.sgxExtension);
  const listed = [...extensions].filter(([id]) => shape.omit?.includes(id) !== true);
  const tbs = sequence(
    der(DER.context0, integer(2)),
    integer(subject.serial),
    ALGORITHM,
    commonName(issuer.name),
    sequence(time(shape.notBefore ?? FROM), time(shape.notAfter ?? UNTIL)),
    commonName(subject.name),
    subject.spki,
    der(DER.context3, sequence(...listed.map(([id, value]) => sequence(oid(id), octets(value))))),
  );
  return signed(tbs, issuer);
}

export function revoke(
  issuer: TestIdentity,
  serials: readonly number[],
  thisUpdate: Date,
  nextUpdate: Date,
): Uint8Array {
  const revoked = serials.map((serial) => sequence(integer(serial), time(thisUpdate)));
  const extensions = sequence(
    sequence(oid(OID.crlNumber), octets(integer(1))),
    sequence(oid(OID.authorityKeyId), octets(sequence(der(0x80, new Uint8Array(20))))),
  );
  const tbs = sequence(
    integer(1),
    ALGORITHM,
    commonName(issuer.name),
    time(thisUpdate),
    time(nextUpdate),
    revoked.length === 0 ? new Uint8Array() : sequence(...revoked),
    der(DER.context0, extensions),
  );
  return signed(tbs, issuer);
}

function signed(tbs: Uint8Array, issuer: TestIdentity): Uint8Array {
  const signature = new Uint8Array(sign('sha256', tbs, { key: issuer.key, dsaEncoding: 'der' }));
  return sequence(tbs, ALGORITHM, bits(signature));
}

export function toPem(...certificates: readonly Uint8Array[]): string {
  return certificates
    .map((certificate) => {
      const lines = Buffer.from(certificate).toString('base64').replace(/.{64}/g, '$&\n');
      return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
    })
    .join('');
}

/** The SGX extension of a PCK leaf under the Platform CA. */
export function sgxExtension(fields: {
  readonly ppid: Uint8Array;
  readonly components: readonly number[];
  readonly pceSvn: number;
  readonly fmspc: string;
}): Uint8Array {
  const entry = (suffix: string, value: Uint8Array): Uint8Array => sequence(oid(`${OID.sgxExtension}${suffix}`), value);
  const suffix = (i: number): string => `02${(i + 1).toString(16).padStart(2, '0')}`;
  const tcb = sequence(
    ...fields.components.map((svn, i) => entry(suffix(i), integer(svn))),
    entry('0211', integer(fields.pceSvn)),
    entry('0212', octets(new Uint8Array(fields.components))),
  );
  return sequence(
    entry('01', octets(fields.ppid)),
    entry('02', tcb),
    entry('03', octets(new Uint8Array(2))),
    entry('04', octets(fromHex(fields.fmspc, 6) ?? new Uint8Array())),
    entry('05', integer(1, DER.enumerated)),
    entry('06', octets(new Uint8Array(16).fill(6))),
    entry('07', sequence(entry('0701', boolean(true)), entry('0702', boolean(false)), entry('0703', boolean(true)))),
  );
}

/** Little-endian unsigned integers of a quote. */
export function u16(value: number): Uint8Array {
  return new Uint8Array([value & 0xff, (value >> 8) & 0xff]);
}

export function u32(value: number): Uint8Array {
  return concatBytes(u16(value & 0xffff), u16(value >>> 16));
}
