import { type KeyObject, sign } from 'node:crypto';
import type { PlatformPki } from '../pki/platform-pki.js';
import {
  CERTIFICATION,
  ECDSA_P256_KEY_TYPE,
  HEADER,
  INTEL_QE_VENDOR_ID,
  QUOTE_VERSION,
  TEE_TYPE_TDX,
} from './layout.js';
import { QE_AUTH_DATA, qeReport, rawPublicKey } from './qe-report.js';

/**
 * Signs TD reports the way Intel's TD quoting enclave does: a stable attestation key, bound by SHA-256(key ‖ auth data)
 * into a QE report that the PCK key signs, certification data type 6 around type 5 (attestation §1.3).
 */
export class QuotingEnclave {
  readonly #attestationKey: KeyObject;
  readonly #header: Uint8Array;
  /** Attestation key and outer certification data: the same bytes in every quote. */
  readonly #certification: Uint8Array;

  constructor(pki: PlatformPki) {
    this.#attestationKey = pki.attestationKey;
    this.#header = quoteHeader(pki.qeId);
    const publicKey = rawPublicKey(pki.attestationKey);
    const chain = Buffer.from(`${pki.pckPem}${pki.platformCaPem}${pki.rootPem}\0`, 'latin1');
    const inner = Buffer.concat([
      qeReport(publicKey),
      pki.qeReportSignature,
      uint16(QE_AUTH_DATA.length),
      QE_AUTH_DATA,
      uint16(CERTIFICATION.pckChain),
      uint32(chain.length),
      chain,
    ]);
    this.#certification = Buffer.concat([publicKey, uint16(CERTIFICATION.qeReport), uint32(inner.length), inner]);
  }

  /** A complete quote over a TD report of exactly 584 bytes. */
  quote(tdReport: Uint8Array): Uint8Array {
    const signed = Buffer.concat([this.#header, tdReport]);
    const signature = ecdsaRaw(signed, this.#attestationKey);
    const authLength = uint32(signature.length + this.#certification.length);
    return new Uint8Array(Buffer.concat([signed, authLength, signature, this.#certification]));
  }
}

function quoteHeader(qeId: Uint8Array): Uint8Array {
  const header = Buffer.alloc(HEADER.size);
  header.writeUInt16LE(QUOTE_VERSION, HEADER.version);
  header.writeUInt16LE(ECDSA_P256_KEY_TYPE, HEADER.attestationKeyType);
  header.writeUInt32LE(TEE_TYPE_TDX, HEADER.teeType);
  header.set(Buffer.from(INTEL_QE_VENDOR_ID, 'hex'), HEADER.qeVendorId);
  header.set(qeId, HEADER.userData);
  return header;
}

/** ECDSA P-256 / SHA-256 as r ‖ s, 64 bytes big-endian. */
function ecdsaRaw(bytes: Uint8Array, key: KeyObject): Uint8Array {
  return sign('sha256', bytes, { key, dsaEncoding: 'ieee-p1363' });
}

function uint16(value: number): Uint8Array {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return bytes;
}

function uint32(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
