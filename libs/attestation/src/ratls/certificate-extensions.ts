import { isIPv4, isIPv6 } from 'node:net';
import { DER } from '../x509/der-reader.js';
import { OID } from '../x509/object-identifiers.js';
import {
  booleanTrue,
  type DerElementTree,
  der,
  encodeDer,
  objectIdentifier,
  octetString,
  sequence,
  unsignedInteger,
} from './der-writer.js';
import type { EncodedExtension } from './ratls-extensions.js';

/** Contents of object identifiers of X.509 extensions and purposes, as hex. */
export const EXTENSION_OID = { extendedKeyUsage: '551d25', subjectAltName: '551d11' } as const;
const PURPOSE = { serverAuth: '2b06010505070301', clientAuth: '2b06010505070302' } as const;
export type CertificatePurpose = keyof typeof PURPOSE;

/** GeneralName tags (RFC 5280 §4.2.1.6). */
const GENERAL_NAME = { dns: 0x82, ipAddress: 0x87 } as const;
const KEY_IDENTIFIER = 0x80;

/** An Extension whose value is the DER of `value`. */
function extension(oid: string, critical: boolean, value: DerElementTree): DerElementTree {
  const id = objectIdentifier(oid);
  return critical ? sequence(id, booleanTrue(), octetString(value)) : sequence(id, octetString(value));
}

/** One of dstack's, whose value is encoded already. */
export function encodedExtension({ oid, value }: EncodedExtension): DerElementTree {
  return sequence(objectIdentifier(oid), octetString(value));
}

/** Prebuilt, since there are only two. */
const KEY_USAGE = {
  leaf: encodeDer(extension(OID.keyUsage, true, der(DER.bitString, new Uint8Array([7, 0x80])))),
  ca: encodeDer(extension(OID.keyUsage, true, der(DER.bitString, new Uint8Array([1, 0x86])))),
} as const;

/** digitalSignature; for a CA keyCertSign and cRLSign as well. */
export function keyUsage(isCa: boolean): Uint8Array {
  return isCa ? KEY_USAGE.ca : KEY_USAGE.leaf;
}

export function basicConstraints(pathLength: number): DerElementTree {
  const length = unsignedInteger(new Uint8Array([pathLength]));
  return extension(OID.basicConstraints, true, sequence(booleanTrue(), length));
}

export function extendedKeyUsage(purposes: readonly CertificatePurpose[]): DerElementTree {
  const list = purposes.map((purpose) => objectIdentifier(PURPOSE[purpose]));
  return extension(EXTENSION_OID.extendedKeyUsage, false, sequence(...list));
}

/** 20 bytes. */
export function subjectKeyIdentifier(id: Uint8Array): DerElementTree {
  return extension(OID.subjectKeyId, false, octetString(id));
}

/** 20 bytes. */
export function authorityKeyIdentifier(id: Uint8Array): DerElementTree {
  return extension(OID.authorityKeyId, false, sequence(der(KEY_IDENTIFIER, id)));
}

/** DNS names; text that is an IP address becomes an iPAddress. @throws RangeError for a name that is not ASCII. */
export function subjectAltName(names: readonly string[]): DerElementTree {
  return extension(EXTENSION_OID.subjectAltName, false, sequence(...names.map(generalName)));
}

function generalName(name: string): DerElementTree {
  if (isIPv4(name)) return der(GENERAL_NAME.ipAddress, new Uint8Array(name.split('.').map(Number)));
  if (isIPv6(name)) return der(GENERAL_NAME.ipAddress, ipv6Bytes(name));
  if (!/^[\x21-\x7e]+$/.test(name)) throw new RangeError(`${JSON.stringify(name)} is no ASCII DNS name`);
  return der(GENERAL_NAME.dns, Buffer.from(name, 'latin1'));
}

/** 16 bytes of an address that `isIPv6` accepts, without a zone. */
function ipv6Bytes(text: string): Uint8Array {
  if (text.includes('%')) throw new RangeError('a certificate cannot name an IPv6 zone');
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text);
  const [, prefix = '', ...quad] = dotted ?? [];
  const hexPair = (high = '0', low = '0'): string => (Number(high) * 256 + Number(low)).toString(16);
  const plain = dotted === null ? text : `${prefix}${hexPair(quad[0], quad[1])}:${hexPair(quad[2], quad[3])}`;
  const [head = '', tail] = plain.split('::');
  const groups = (part: string): readonly string[] => (part === '' ? [] : part.split(':'));
  const [left, right] = [groups(head), groups(tail ?? '')];
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length;
  const all = [...left, ...Array.from({ length: zeros }, () => '0'), ...right];
  return new Uint8Array(Buffer.from(all.map((group) => group.padStart(4, '0')).join(''), 'hex'));
}
