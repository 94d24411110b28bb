import { type KeyObject, sign } from 'node:crypto';
import { AlgorithmIdentifier } from '@peculiar/asn1-x509';

/** ecdsa-with-SHA256 (RFC 5758), parameters absent: the only algorithm in a DCAP chain. */
export function ecdsaWithSha256(): AlgorithmIdentifier {
  return new AlgorithmIdentifier({ algorithm: '1.2.840.10045.4.3.2' });
}

/** DER ECDSA signature of certificate or CRL bytes. */
export function signDer(toBeSigned: ArrayBuffer, key: KeyObject): ArrayBuffer {
  return arrayBufferOf(sign('sha256', new Uint8Array(toBeSigned), key));
}

/** A copy of the bytes in an ArrayBuffer of exactly their length, which is what the ASN.1 classes take. */
export function arrayBufferOf(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer;
}
