import { toHex } from '../bytes.js';
import type { Check, Refused } from '../check.js';
import { CheckSheet } from '../check-sheet.js';
import { Refusal } from '../refusal.js';
import { ByteReader } from './byte-reader.js';
import type { ParsedQuote, QuoteHeader, SgxReport, TdReport } from './parsed-quote.js';
import { BODY_TYPES, CERTIFICATION_TYPES, QUOTE } from './quote-format.js';
import { REPORT_BYTES, readSgxReport, readTdReport } from './report-layout.js';

export type ParseQuoteResult =
  | { readonly ok: true; readonly quote: ParsedQuote; readonly checks: readonly Check[] }
  | (Refused & {
      /** Offset in the quote at which the format broke, in bytes. */
      readonly offset: number;
    });

/**
 * Parses a DCAP quote: check `quote.format`. Bytes behind the declared end are padding and are ignored. Codes:
 * `QUOTE_TRUNCATED`, `QUOTE_FORMAT`, `QUOTE_VERSION`, `QUOTE_KEY_TYPE`, `QUOTE_TEE`, `QUOTE_VENDOR`. No signature is
 * looked at, no allocation depends on a declared length.
 */
export function parseQuote(bytes: Uint8Array): ParseQuoteResult {
  const sheet = new CheckSheet(['quote.format'] as const);
  let offset = 0;
  const result = sheet.settle(() =>
    sheet.step(
      'quote.format',
      () => {
        try {
          return readQuote(bytes);
        } catch (error) {
          if (error instanceof Refusal) offset = error.offset;
          throw error;
        }
      },
      (quote) => `${quote.header.tee} quote version ${quote.header.version}, ${quote.bytes.length} bytes`,
    ),
  );
  return result.ok ? { ok: true, quote: result.value, checks: result.checks } : { ...result, offset };
}

function readQuote(input: Uint8Array): ParsedQuote {
  if (input.length < QUOTE.minBytes) {
    throw new Refusal('QUOTE_TRUNCATED', `a quote has at least ${QUOTE.minBytes} bytes, not ${input.length}`, 0);
  }
  const { header, kind, bodyStart, authStart } = readPrologue(input);
  const declaredEnd = authStart + 4 + new ByteReader(input, authStart).u32('auth data length');
  if (declaredEnd > input.length) {
    throw new Refusal(
      'QUOTE_TRUNCATED',
      `the quote declares ${declaredEnd} bytes, ${input.length} are there`,
      authStart,
    );
  }
  // Not `slice`: on a Buffer that is a view of the caller's memory, which could change after it was verified.
  const bytes = new Uint8Array(input.subarray(0, declaredEnd));
  const body = bytes.subarray(bodyStart, authStart);
  const auth = new ByteReader(bytes, authStart + 4);
  const report: TdReport | SgxReport = kind === 'sgx' ? readSgxReport(body) : readTdReport(kind, body);
  const quoteSignature = auth.take(QUOTE.signatureBytes, 'quote signature');
  const qeBlock = bytes.subarray(auth.offset);
  const attestationKey = auth.take(QUOTE.publicKeyBytes, 'attestation key');
  const enclave = header.version === 3 ? readCertification(auth, 'auth data') : readWrapped(auth);
  let qeReport: SgxReport | undefined;
  const quote = {
    header,
    report,
    signedBytes: bytes.subarray(0, authStart),
    quoteSignature,
    attestationKey,
    // Read when it is first asked for: a verifier that knows the enclave never looks at it.
    get qeReport() {
      qeReport ??= readSgxReport(enclave.qeReportBytes);
      return qeReport;
    },
    qeReportBytes: enclave.qeReportBytes,
    qeReportSignature: enclave.qeReportSignature,
    qeAuthData: enclave.qeAuthData,
    certification: enclave.certification,
    qeBlock,
    bytes,
  };
  // The stage brand exists only in the type system; this is the one place that gives it.
  return quote as unknown as ParsedQuote;
}

interface Prologue {
  readonly header: QuoteHeader;
  readonly kind: 'sgx' | 'td10' | 'td15';
  readonly bodyStart: number;
  readonly authStart: number;
}

function readPrologue(input: Uint8Array): Prologue {
  const reader = new ByteReader(input);
  const header = readHeader(reader);
  let kind: Prologue['kind'] = header.tee === 'SGX' ? 'sgx' : 'td10';
  if (header.version === 5) kind = readBodyDescriptor(reader, header.tee);
  const bodyStart = reader.offset;
  reader.take(REPORT_BYTES[kind], 'report body');
  return { header, kind, bodyStart, authStart: reader.offset };
}

function readHeader(reader: ByteReader): QuoteHeader {
  const version = reader.u16('version');
  if (version !== 3 && version !== 4 && version !== 5) {
    throw new Refusal('QUOTE_VERSION', `quote version ${version} is not 3, 4 or 5`, 0);
  }
  const attestationKeyType = reader.u16('attestation key type');
  if (attestationKeyType !== QUOTE.keyTypeP256) {
    throw new Refusal('QUOTE_KEY_TYPE', `attestation key type ${attestationKeyType} is not 2 (ECDSA P-256)`, 2);
  }
  const teeType = reader.u32('TEE type');
  if (teeType !== QUOTE.teeSgx && teeType !== QUOTE.teeTdx) {
    throw new Refusal('QUOTE_TEE', `TEE type 0x${teeType.toString(16)} is neither SGX nor TDX`, 4);
  }
  if (version === 3 && teeType !== QUOTE.teeSgx) throw new Refusal('QUOTE_TEE', 'a version 3 quote must be SGX', 4);
  const qeSvnField = reader.u16('QE SVN');
  const pceSvnField = reader.u16('PCE SVN');
  const vendorOffset = reader.offset;
  const qeVendorId = reader.take(QUOTE.vendorIdBytes, 'QE vendor id');
  if (toHex(qeVendorId) !== QUOTE.intelVendorId) {
    throw new Refusal('QUOTE_VENDOR', `QE vendor id ${toHex(qeVendorId)} is not Intel's`, vendorOffset);
  }
  const userData = reader.take(QUOTE.userDataBytes, 'user data');
  const tee = teeType === QUOTE.teeSgx ? 'SGX' : 'TDX';
  return {
    version,
    attestationKeyType,
    tee,
    qeSvnField,
    pceSvnField,
    qeVendorId: new Uint8Array(qeVendorId),
    userData: new Uint8Array(userData),
  };
}

function readBodyDescriptor(reader: ByteReader, tee: 'SGX' | 'TDX'): Prologue['kind'] {
  const offset = reader.offset;
  const type = reader.u16('body type');
  const sizeBytes = reader.u32('body size');
  const kind = (['sgx', 'td10', 'td15'] as const).find((candidate) => BODY_TYPES[candidate] === type);
  if (kind === undefined) throw new Refusal('QUOTE_FORMAT', `body type ${type} is not 1, 2 or 3`, offset);
  if (sizeBytes !== REPORT_BYTES[kind]) {
    throw new Refusal(
      'QUOTE_FORMAT',
      `body type ${type} has ${REPORT_BYTES[kind]} bytes, not ${sizeBytes}`,
      offset + 2,
    );
  }
  if ((kind === 'sgx') !== (tee === 'SGX')) {
    throw new Refusal('QUOTE_TEE', `body type ${type} does not go with TEE type ${tee}`, offset);
  }
  return kind;
}

type CertificationPart = Pick<ParsedQuote, 'qeReportBytes' | 'qeReportSignature' | 'qeAuthData' | 'certification'>;

/** Versions 4 and 5 wrap the QE report and certification data in certification data of type 6. */
function readWrapped(auth: ByteReader): CertificationPart {
  const offset = auth.offset;
  const type = auth.u16('outer certification type');
  if (type !== CERTIFICATION_TYPES.qeReport) {
    throw new Refusal('QUOTE_FORMAT', `outer certification type ${type} is not 6`, offset);
  }
  const inner = auth.window(auth.u32('outer certification size'), 'outer certification data');
  return readCertification(inner, 'outer certification data');
}

/** The QE part must fill its window exactly: a length that lies about the rest is refused. */
function readCertification(reader: ByteReader, window: string): CertificationPart {
  const qeReportBytes = reader.take(REPORT_BYTES.sgx, 'QE report');
  const qeReportSignature = reader.take(QUOTE.signatureBytes, 'QE report signature');
  const qeAuthData = reader.take(reader.u16('QE auth data size'), 'QE auth data');
  const typeOffset = reader.offset;
  const type = reader.u16('certification data type');
  if (type < CERTIFICATION_TYPES.plainPpid || type > CERTIFICATION_TYPES.pckChain) {
    throw new Refusal('QUOTE_FORMAT', `certification data type ${type} is not 1 to 5`, typeOffset);
  }
  const data = reader.take(reader.u32('certification data size'), 'certification data');
  reader.expectEnd(window);
  return { qeReportBytes, qeReportSignature, qeAuthData, certification: { type, data } };
}
