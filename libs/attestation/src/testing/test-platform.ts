import { concatBytes, fromHex, hashBytes, toHex } from '../bytes.js';
import type { QuoteCollateralV3 } from '../collateral/quote-collateral.js';
import { type TrustAnchor, trustAnchorFromDer } from '../verify/trust-anchor.js';
import { certify, newIdentity, revoke, sgxExtension, signRaw, type TestIdentity, toPem, u16, u32 } from './test-pki.js';

/** The time the test collateral is made for: it is valid 15 days before and after. */
export const TEST_NOW = new Date('2026-01-01T00:00:00Z');
export const TEST_FROM = new Date('2025-12-17T00:00:00Z');
export const TEST_UNTIL = new Date('2026-01-16T00:00:00Z');

const FMSPC = '00a06f050000';
const MR_SIGNER_QE = new Uint8Array(32).fill(0xdc);

/** A level of the documents, in Intel's JSON. */
export interface TestLevel {
  readonly sgx?: readonly number[];
  readonly pceSvn?: number;
  readonly tdx?: readonly number[];
  readonly isvSvn?: number;
  readonly status: string;
  readonly advisories?: readonly string[];
}

export interface TestCollateral {
  readonly levels?: readonly TestLevel[];
  /** Levels of module identity TDX_01. */
  readonly moduleLevels?: readonly TestLevel[];
  readonly qeLevels?: readonly TestLevel[];
  readonly fmspc?: string;
  readonly tcbInfoExtra?: Readonly<Record<string, unknown>>;
  readonly identityExtra?: Readonly<Record<string, unknown>>;
  readonly revoked?: readonly ('pck' | 'intermediate' | 'signer')[];
  readonly crlUntil?: Date;
}

export interface TestQuote {
  readonly version?: 4 | 5;
  /** Module SVN, module version, late microcode: first bytes of teeTcbSvn. */
  readonly teeTcbSvn?: readonly number[];
  readonly teeTcbSvn2?: readonly number[];
  readonly tdAttributes?: string;
  readonly mrServiceTd?: Uint8Array;
  readonly seamAttributes?: Uint8Array;
  readonly mrTd?: Uint8Array;
  readonly rtMrs?: readonly Uint8Array[];
  readonly reportData?: Uint8Array;
  readonly qeSvn?: number;
  readonly qeAttributes?: number;
  readonly qeReportData?: Uint8Array;
  /** Bytes behind the declared end. */
  readonly padding?: number;
}

/** A whole platform with its own root: genuine structure and signatures, so that verdicts of every kind can be made. */
export class TestPlatform {
  readonly root = newIdentity('Test SGX Root CA', 1);
  readonly intermediate = newIdentity('Test SGX PCK Platform CA', 2);
  readonly signer = newIdentity('Test SGX TCB Signing', 3);
  readonly pck = newIdentity('Test SGX PCK Certificate', 4);
  readonly attestation = newIdentity('attestation key', 0);
  readonly ppid = new Uint8Array(16).fill(0x11);
  readonly rootDer = certify(this.root, this.root, { isCa: true, pathLength: 1 });
  readonly intermediateDer = certify(this.intermediate, this.root, { isCa: true, pathLength: 0 });
  readonly signerDer = certify(this.signer, this.root, { isCa: false });
  readonly pckDer: Uint8Array;

  constructor(platform: { readonly components?: readonly number[]; readonly pceSvn?: number } = {}) {
    const components = platform.components ?? new Array<number>(16).fill(5);
    const extension = sgxExtension({ ppid: this.ppid, components, pceSvn: platform.pceSvn ?? 13, fmspc: FMSPC });
    this.pckDer = certify(this.pck, this.intermediate, { isCa: false, sgxExtension: extension });
  }

  get trustAnchor(): TrustAnchor {
    return trustAnchorFromDer(this.rootDer);
  }

  quote(shape: TestQuote = {}): Uint8Array {
    const version = shape.version ?? 4;
    const body = tdReport(shape, version);
    const header = concatBytes(
      u16(version),
      u16(2),
      u32(0x81),
      u32(0),
      fromHex('939a7233f79c4ca9940a0db3957f0607') ?? new Uint8Array(),
      new Uint8Array(20),
    );
    const signedBytes = concatBytes(
      header,
      version === 5 ? concatBytes(u16(3), u32(body.length)) : new Uint8Array(),
      body,
    );
    const qeAuth = new Uint8Array(32).fill(7);
    const binding = concatBytes(hashBytes('sha256', this.attestation.point, qeAuth), new Uint8Array(32));
    const qeReport = qeReportBytes(shape, shape.qeReportData ?? binding);
    const chain = Buffer.from(`${toPem(this.pckDer, this.intermediateDer, this.rootDer)}\0`, 'latin1');
    const inner = concatBytes(
      qeReport,
      signRaw(this.pck, qeReport),
      u16(qeAuth.length),
      qeAuth,
      u16(5),
      u32(chain.length),
      chain,
    );
    const auth = concatBytes(
      signRaw(this.attestation, signedBytes),
      this.attestation.point,
      u16(6),
      u32(inner.length),
      inner,
    );
    return concatBytes(signedBytes, u32(auth.length), auth, new Uint8Array(shape.padding ?? 0));
  }

  collateral(shape: TestCollateral = {}): QuoteCollateralV3 {
    const tcbInfo = JSON.stringify(tcbInfoDocument(shape));
    const identity = JSON.stringify(identityDocument(shape));
    const signerChain = toPem(this.signerDer, this.rootDer);
    const revoked = (who: 'pck' | 'intermediate' | 'signer', identityOf: TestIdentity): readonly number[] =>
      shape.revoked?.includes(who) === true ? [identityOf.serial] : [];
    const until = shape.crlUntil ?? TEST_UNTIL;
    const rootRevoked = [...revoked('intermediate', this.intermediate), ...revoked('signer', this.signer)];
    return {
      tcb_info: tcbInfo,
      tcb_info_signature: toHex(signRaw(this.signer, Buffer.from(tcbInfo))),
      tcb_info_issuer_chain: signerChain,
      qe_identity: identity,
      qe_identity_signature: toHex(signRaw(this.signer, Buffer.from(identity))),
      qe_identity_issuer_chain: signerChain,
      pck_crl: toHex(revoke(this.intermediate, revoked('pck', this.pck), TEST_FROM, until)),
      pck_crl_issuer_chain: toPem(this.intermediateDer, this.rootDer),
      root_ca_crl: toHex(revoke(this.root, rootRevoked, TEST_FROM, until)),
    };
  }
}

function tdReport(shape: TestQuote, version: 4 | 5): Uint8Array {
  const body = new Uint8Array(version === 5 ? 648 : 584);
  body.set(shape.teeTcbSvn ?? [5, 1, 3], 0);
  body.set(shape.seamAttributes ?? [], 112);
  // SEPT_VE_DISABLE
  body.set(fromHex(shape.tdAttributes ?? '0000001000000000', 8) ?? [], 120);
  body.set(shape.mrTd ?? new Uint8Array(48).fill(0xaa), 136);
  shape.rtMrs?.forEach((register, i) => {
    body.set(register, 328 + 48 * i);
  });
  body.set(shape.reportData ?? new Uint8Array(64).fill(0x42), 520);
  if (version === 5) {
    body.set(shape.teeTcbSvn2 ?? shape.teeTcbSvn ?? [5, 1, 3], 584);
    body.set(shape.mrServiceTd ?? [], 600);
  }
  return body;
}

function qeReportBytes(shape: TestQuote, reportData: Uint8Array): Uint8Array {
  const report = new Uint8Array(384);
  report[48] = shape.qeAttributes ?? 0x11;
  report.set(MR_SIGNER_QE, 128);
  report.set(u16(2), 256);
  report.set(u16(shape.qeSvn ?? 4), 258);
  report.set(reportData, 320);
  return report;
}

const components = (svns: readonly number[] | undefined, fallback: number): readonly { readonly svn: number }[] =>
  Array.from({ length: 16 }, (_, i) => ({ svn: svns === undefined ? fallback : (svns[i] ?? 0) }));

function level(entry: TestLevel, tcb: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const facts = { tcb, tcbDate: '2025-05-14T00:00:00Z', tcbStatus: entry.status };
  return entry.advisories === undefined ? facts : { ...facts, advisoryIDs: entry.advisories };
}

const isvLevels = (levels: readonly TestLevel[]) => levels.map((entry) => level(entry, { isvsvn: entry.isvSvn ?? 4 }));

const dates = { issueDate: '2025-12-17T00:00:00Z', nextUpdate: '2026-01-16T00:00:00Z', tcbEvaluationDataNumber: 19 };

function tcbInfoDocument(shape: TestCollateral): Readonly<Record<string, unknown>> {
  const module = { mrsigner: '00'.repeat(48), attributes: '00'.repeat(8), attributesMask: 'FF'.repeat(8) };
  return {
    id: 'TDX',
    version: 3,
    ...dates,
    fmspc: (shape.fmspc ?? FMSPC).toUpperCase(),
    pceId: '0000',
    tcbType: 0,
    tdxModule: module,
    tdxModuleIdentities: [
      { id: 'TDX_01', ...module, tcbLevels: isvLevels(shape.moduleLevels ?? [{ isvSvn: 4, status: 'UpToDate' }]) },
    ],
    tcbLevels: (shape.levels ?? [{ status: 'UpToDate' }]).map((entry) =>
      level(entry, {
        sgxtcbcomponents: components(entry.sgx, 5),
        pcesvn: entry.pceSvn ?? 13,
        tdxtcbcomponents: components(entry.tdx ?? [5, 0, 3], 0),
      }),
    ),
    ...shape.tcbInfoExtra,
  };
}

function identityDocument(shape: TestCollateral): Readonly<Record<string, unknown>> {
  return {
    id: 'TD_QE',
    version: 2,
    ...dates,
    miscselect: '00000000',
    miscselectMask: 'FFFFFFFF',
    attributes: '11000000000000000000000000000000',
    attributesMask: 'FBFFFFFFFFFFFFFF0000000000000000',
    mrsigner: toHex(MR_SIGNER_QE).toUpperCase(),
    isvprodid: 2,
    tcbLevels: isvLevels(shape.qeLevels ?? [{ isvSvn: 4, status: 'UpToDate' }]),
    ...shape.identityExtra,
  };
}
