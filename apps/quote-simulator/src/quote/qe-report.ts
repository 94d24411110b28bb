import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import { PLATFORM } from '../platform.js';
import { SGX_REPORT } from './layout.js';

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
export const QE_AUTH_DATA = Uint8Array.from({ length: 32 }, (_, index) => index);

/** The enclave report that binds an attestation key (x ‖ y): SHA-256(key ‖ auth data), then 32 zero bytes. */
export function qeReport(attestationKey: Uint8Array): Uint8Array {
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

/** x ‖ y of a P-256 key, 64 bytes big-endian. */
export function rawPublicKey(privateKey: KeyObject): Uint8Array {
  const { x, y } = createPublicKey(privateKey).export({ format: 'jwk' });
  if (x === undefined || y === undefined) throw new TypeError('a P-256 key is required');
  return Buffer.concat([Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')]);
}
