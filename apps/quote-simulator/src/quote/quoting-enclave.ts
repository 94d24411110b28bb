import { createHash, createPublicKey, type KeyObject, sign } from 'node:crypto';
import type { PlatformPki } from '../pki/platform-pki.js';
import { PLATFORM } from '../platform.js';
import {
  CERTIFICATION,
  ECDSA_P256_KEY_TYPE,
  HEADER,
  INTEL_QE_VENDOR_ID,
  QUOTE_VERSION,
  SGX_REPORT,
  TEE_TYPE_TDX,
} from './layout.js';

/** The identity of the simulated TD quoting enclave: its report shows these, its signed identity document lists them. */
export const QE = {
  mrEnclave: createHash('sha256').update('vouch simulated TD quoting enclave').digest(),
  mrSigner: createHash('sha256').update('vouch simulated TD quoting enclave signer').digest(),
  isvProdId: 2,
  isvSvn: 4,
  miscSelect: 0,
  /** flags INIT | MODE64 | PROVISION KEY, xfrm. */
  attributes: Buffer.from('1500000000000000e700000000000000', 'hex'),
} as const;

/** Real quoting enclaves put the bytes 00..1f here. */
const QE_AUTH_DATA = Uint8Array.from({ length: 32 }, (_, index) => index);

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
    const report = qeReport(publicKey);
    const chain = Buffer.from(`${pki.pckPem}${pki.platformCaPem}${pki.rootPem}\0`, 'latin1');
    const inner = Buffer.concat([
      report,
      ecdsaRaw(report, pki.pckKey),
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

function qeReport(attestationKey: Uint8Array): Uint8Array {
  const report = Buffer.alloc(SGX_REPORT.size);
  report.set(PLATFORM.sgxComponents, SGX_REPORT.cpuSvn);
  report.writeUInt32LE(QE.miscSelect, SGX_REPORT.miscSelect);
  report.set(QE.attributes, SGX_REPORT.attributes);
  report.set(QE.mrEnclave, SGX_REPORT.mrEnclave);
  report.set(QE.mrSigner, SGX_REPORT.mrSigner);
  report.writeUInt16LE(QE.isvProdId, SGX_REPORT.isvProdId);
  report.writeUInt16LE(QE.isvSvn, SGX_REPORT.isvSvn);
  // SHA-256 in the first half; the second half stays zero.
  report.set(createHash('sha256').update(attestationKey).update(QE_AUTH_DATA).digest(), SGX_REPORT.reportData);
  return report;
}

/** x ‖ y, 64 bytes. */
function rawPublicKey(privateKey: KeyObject): Uint8Array {
  const { x, y } = createPublicKey(privateKey).export({ format: 'jwk' });
  if (x === undefined || y === undefined) throw new TypeError('a P-256 key is required');
  return Buffer.concat([Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')]);
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
