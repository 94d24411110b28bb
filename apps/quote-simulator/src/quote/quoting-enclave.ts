import { type KeyObject, sign } from 'node:crypto';
import { signingKey } from '../defects/certify.js';
import { isHealthy, type PlatformState, quoteForm } from '../defects/platform-state.js';
import type { PlatformPki } from '../pki/platform-pki.js';
import { enclaveReport } from './enclave-report.js';
import { BODY_TYPE, CERTIFICATION, ECDSA_P256_KEY_TYPE, HEADER, INTEL_QE_VENDOR_ID, TEE_TYPE } from './layout.js';
import { QE_AUTH_DATA, qeReport, rawPublicKey, SGX_QE, shownEnclave, TD_QE } from './qe-report.js';
import { type TdMeasurements, tdReport } from './td-report.js';

type QuoteForm = ReturnType<typeof quoteForm>;

/**
 * Signs reports the way Intel's quoting enclaves do: a stable attestation key, bound by SHA-256(key ‖ auth data) into a QE
 * report that the PCK key signs, certification data type 5, in versions 4 and 5 inside type 6 (attestation §1.3). One
 * enclave is of one state of the platform.
 */
export class QuotingEnclave {
  readonly #form: QuoteForm;
  readonly #quoteKey: KeyObject;
  readonly #header: Uint8Array;
  /** Attestation key and certification data: the same bytes in every quote. */
  readonly #certification: Uint8Array;

  constructor(
    pki: PlatformPki,
    private readonly state: PlatformState,
  ) {
    this.#form = quoteForm(state);
    this.#quoteKey = signingKey(state, 'quote', pki.attestationKey);
    this.#header = quoteHeader(pki.qeId, this.#form);
    this.#certification = certification(pki, state, this.#form);
  }

  /** A complete quote over a guest's registers and report data. */
  quote(td: TdMeasurements): Uint8Array {
    const { report, version } = this.#form;
    const body = report === 'sgx' ? enclaveReport(td, this.state) : tdReport(td, report, this.state);
    const descriptor = version === 5 ? [uint16(BODY_TYPE[report]), uint32(body.length)] : [];
    const signed = Buffer.concat([this.#header, ...descriptor, body]);
    const signature = ecdsaRaw(signed, this.#quoteKey);
    const authLength = uint32(signature.length + this.#certification.length);
    return new Uint8Array(Buffer.concat([signed, authLength, signature, this.#certification]));
  }
}

function certification(pki: PlatformPki, state: PlatformState, { tee, version }: QuoteForm): Uint8Array {
  const publicKey = rawPublicKey(pki.attestationKey);
  const bound = rawPublicKey(signingKey(state, 'qe-binding', pki.attestationKey));
  const report = qeReport(bound, shownEnclave(tee === 'sgx' ? SGX_QE : TD_QE, state));
  // The healthy report was signed once, as certified hardware is.
  const genuine = isHealthy(state) ? pki.qeReportSignature : undefined;
  const chain = Buffer.from(`${pki.pckPem}${pki.platformCaPem}${pki.rootPem}\0`, 'latin1');
  const inner = Buffer.concat([
    report,
    genuine ?? ecdsaRaw(report, signingKey(state, 'qe-report', pki.pckKey)),
    uint16(QE_AUTH_DATA.length),
    QE_AUTH_DATA,
    uint16(CERTIFICATION.pckChain),
    uint32(chain.length),
    chain,
  ]);
  if (version === 3) return Buffer.concat([publicKey, inner]);
  return Buffer.concat([publicKey, uint16(CERTIFICATION.qeReport), uint32(inner.length), inner]);
}

function quoteHeader(qeId: Uint8Array, { tee, version }: QuoteForm): Uint8Array {
  const header = Buffer.alloc(HEADER.size);
  header.writeUInt16LE(version, HEADER.version);
  header.writeUInt16LE(ECDSA_P256_KEY_TYPE, HEADER.attestationKeyType);
  header.writeUInt32LE(TEE_TYPE[tee], HEADER.teeType);
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
