import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import type { PlatformState } from '../defects/platform-state.js';
import { PLATFORM } from '../platform.js';
import { SGX_REPORT } from './layout.js';

/** The identity of a simulated quoting enclave: its report shows these, its signed identity document lists them. */
export interface QuotingEnclaveIdentity {
  readonly mrEnclave: Uint8Array;
  readonly mrSigner: Uint8Array;
  readonly isvProdId: number;
  readonly isvSvn: number;
  /** 4 bytes, little-endian. */
  readonly miscSelect: Uint8Array;
  readonly attributes: Uint8Array;
}

const SIGNER = createHash('sha256').update('vouch simulated TD quoting enclave signer').digest();
/** flags INIT | MODE64 | PROVISION KEY, xfrm. */
const ATTRIBUTES = Buffer.from('1500000000000000e700000000000000', 'hex');

/** Quotes TDs. */
export const TD_QE: QuotingEnclaveIdentity = {
  mrEnclave: createHash('sha256').update('vouch simulated TD quoting enclave').digest(),
  mrSigner: SIGNER,
  isvProdId: 2,
  isvSvn: 4,
  miscSelect: new Uint8Array(4),
  attributes: ATTRIBUTES,
};

/** Quotes SGX enclaves. */
export const SGX_QE: QuotingEnclaveIdentity = {
  ...TD_QE,
  mrEnclave: createHash('sha256').update('vouch simulated SGX quoting enclave').digest(),
  isvProdId: 1,
};

/** The enclave as its report shows it in a state of the platform. */
export function shownEnclave(genuine: QuotingEnclaveIdentity, { qe }: PlatformState): QuotingEnclaveIdentity {
  return {
    ...genuine,
    mrSigner: qe?.mrSigner === undefined ? genuine.mrSigner : Buffer.from(qe.mrSigner, 'hex'),
    attributes: qe?.attributes === undefined ? genuine.attributes : Buffer.from(qe.attributes, 'hex'),
    miscSelect: qe?.miscSelect === undefined ? genuine.miscSelect : Buffer.from(qe.miscSelect, 'hex'),
    isvProdId: qe?.isvProdId ?? genuine.isvProdId,
    isvSvn: qe?.isvSvn ?? genuine.isvSvn,
  };
}

/** Real quoting enclaves put the bytes 00..1f here. */
export const QE_AUTH_DATA = Uint8Array.from({ length: 32 }, (_, index) => index);

/** The enclave report that binds an attestation key (x ‖ y): SHA-256(key ‖ auth data), then 32 zero bytes. */
export function qeReport(attestationKey: Uint8Array, enclave: QuotingEnclaveIdentity): Uint8Array {
  const report = Buffer.alloc(SGX_REPORT.size);
  report.set(PLATFORM.sgxComponents, SGX_REPORT.cpuSvn);
  report.set(enclave.miscSelect, SGX_REPORT.miscSelect);
  report.set(enclave.attributes, SGX_REPORT.attributes);
  report.set(enclave.mrEnclave, SGX_REPORT.mrEnclave);
  report.set(enclave.mrSigner, SGX_REPORT.mrSigner);
  report.writeUInt16LE(enclave.isvProdId, SGX_REPORT.isvProdId);
  report.writeUInt16LE(enclave.isvSvn, SGX_REPORT.isvSvn);
  // SHA-256 in the first half; the second half stays zero.
  report.set(createHash('sha256').update(attestationKey).update(QE_AUTH_DATA).digest(), SGX_REPORT.reportData);
  return report;
}

/** x ‖ y of a P-256 key, 64 bytes big-endian. */
export function rawPublicKey(privateKey: KeyObject): Uint8Array {
  const { x, y } = createPublicKey(privateKey).export({ format: 'jwk' });
  if (x === undefined || y === undefined) throw new TypeError('a P-256 key is required');
  return Buffer.concat([Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')]);
}
