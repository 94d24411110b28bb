import type { KeyObject } from 'node:crypto';
import type { ParsedQuote, TdReport } from '../abi/parsed-quote.js';
import { equalBytes } from '../bytes.js';
import type { Check } from '../check.js';
import type { IsvLevel } from '../collateral/tcb-level.js';
import { Refusal } from '../refusal.js';
import { importP256 } from '../x509/p256.js';
import { evaluateTcb } from './evaluate-tcb.js';
import type { ProvenPlatform } from './proven-platform.js';
import { matchQeIdentity, verifyQeBinding, verifyQeReport, verifyQuoteSignature } from './quoting-enclave.js';
import type { ModuleMatch } from './tdx-module.js';
import type { TcbFacts } from './verified-quote.js';
import type { VerifySheet } from './verify-checks.js';

/** A quoting enclave vouched for by a proven platform, and the attestation key it certified. */
export class ProvenEnclave {
  private readonly attestationPoint: Uint8Array;
  private readonly judgements: Judgement[] = [];
  private key: KeyObject | undefined;

  private constructor(
    readonly platform: ProvenPlatform,
    quote: ParsedQuote,
    private readonly level: IsvLevel,
    private readonly checks: readonly Check[],
  ) {
    this.attestationPoint = new Uint8Array(quote.attestationKey);
  }

  /** Steps 6 and 7: the PCK key signed the QE report, which vouches for the attestation key and is Intel's. */
  static prove(sheet: VerifySheet, platform: ProvenPlatform, quote: ParsedQuote): ProvenEnclave {
    const { qeIdentity } = platform.generation.parsed;
    sheet.step(
      'qe-report.signature',
      () => verifyQeReport(quote, platform.pckKey()),
      () => 'signed by the PCK key',
    );
    sheet.step(
      'qe-report.binding',
      () => verifyQeBinding(quote),
      () => 'the quoting enclave vouches for the attestation key',
    );
    const level = sheet.step(
      'qe.identity',
      () => matchQeIdentity(quote, qeIdentity),
      (match) => `${qeIdentity.id} SVN ${quote.qeReport.isvSvn}: ${match.status}`,
    );
    const checks = sheet.recorded('qe-report.signature', 'qe-report.binding', 'qe.identity');
    return new ProvenEnclave(platform, quote, level, checks);
  }

  /** Writes down what was established when this enclave was proven. */
  adopt(sheet: VerifySheet): void {
    sheet.adopt(this.checks);
  }

  /** Step 8: the attestation key, imported once, signed header and body. */
  requireSignature(sheet: VerifySheet, quote: ParsedQuote): void {
    sheet.step(
      'quote.signature',
      () => {
        this.key ??= importP256(this.attestationPoint, 'the attestation key');
        verifyQuoteSignature(quote, this.key);
      },
      () => 'signed by the attestation key',
    );
  }

  /** What `judge` established before for a report of the same module and SVNs, or undefined. */
  judged(quote: ParsedQuote): Judgement | undefined {
    const report = levelInputs(quote);
    return this.judgements.find((judgement) => equalInputs(judgement.report, report));
  }

  /** Step 9. A revoked level refuses; only a judgement that does not is remembered. */
  judge(sheet: VerifySheet, quote: ParsedQuote, module: ModuleMatch | null): TcbFacts {
    const { parsed } = this.platform.generation;
    const tcb = sheet.step(
      'tcb.status',
      () => {
        const pck = this.platform.extension;
        const inputs = {
          quote,
          pck,
          tcbInfo: parsed.tcbInfo,
          identity: parsed.qeIdentity,
          qeLevel: this.level,
          module,
        };
        const facts = evaluateTcb(inputs);
        if (facts.status === 'Revoked') throw new Refusal('TCB_REVOKED', 'the TCB level of the platform is revoked');
        return Object.freeze({ ...facts, advisoryIds: Object.freeze(facts.advisoryIds) });
      },
      describeTcb,
    );
    if (this.judgements.length === JUDGEMENTS_MAX) this.judgements.pop();
    this.judgements.unshift({
      report: copyInputs(levelInputs(quote)),
      tcb,
      moduleCheck: sheet.recorded('tdx.module'),
      tcbCheck: sheet.recorded('tcb.status'),
    });
    return tcb;
  }
}

/** A host shows one or two levels: of the TDX module a TD started on, and of the one loaded since. */
const JUDGEMENTS_MAX = 8;

interface Judgement {
  readonly report: LevelInputs;
  readonly tcb: TcbFacts;
  readonly moduleCheck: readonly Check[];
  readonly tcbCheck: readonly Check[];
}

/** Everything of a report that module match and TCB level depend on; null for SGX, where it is nothing. */
type LevelInputs = Pick<TdReport, (typeof LEVEL_FIELDS)[number] | 'kind'> | null;
const LEVEL_FIELDS = ['teeTcbSvn', 'mrSignerSeam', 'seamAttributes', 'teeTcbSvn2'] as const;

function levelInputs({ report }: ParsedQuote): LevelInputs {
  return report.kind === 'sgx' ? null : report;
}

function copyInputs(inputs: LevelInputs): LevelInputs {
  if (inputs === null) return null;
  const { kind, teeTcbSvn, mrSignerSeam, seamAttributes, teeTcbSvn2 } = inputs;
  return {
    kind,
    teeTcbSvn: new Uint8Array(teeTcbSvn),
    mrSignerSeam: new Uint8Array(mrSignerSeam),
    seamAttributes: new Uint8Array(seamAttributes),
    teeTcbSvn2: teeTcbSvn2 === null ? null : new Uint8Array(teeTcbSvn2),
  };
}

function equalInputs(a: LevelInputs, b: LevelInputs): boolean {
  if (a === null || b === null) return a === b;
  if (a.kind !== b.kind) return false;
  for (const field of LEVEL_FIELDS) {
    const [left, right] = [a[field], b[field]];
    if (left === null || right === null ? left !== right : !equalBytes(left, right)) return false;
  }
  return true;
}

function describeTcb(tcb: TcbFacts): string {
  const advisories = tcb.advisoryIds.length === 0 ? 'no advisories' : tcb.advisoryIds.join(', ');
  return `${tcb.status}, ${tcb.tcbDate}, ${advisories}`;
}
