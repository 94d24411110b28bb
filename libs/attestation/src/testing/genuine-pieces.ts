import type { ParsedQuote } from '../abi/parsed-quote.js';
import { toHex } from '../bytes.js';
import type { QuoteCollateralV3 } from '../collateral/quote-collateral.js';

/**
 * What an accepted input may consist of. Whatever was edited, a verifier may only accept what was really signed: each
 * signed piece of it must be one of the genuine ones, byte for byte (hex digits in either case).
 */
export class GenuinePieces {
  private readonly quotes = new Set<string>();
  private readonly enclaves = new Set<string>();
  private readonly documents = new Set<string>();

  addQuote(quote: ParsedQuote): void {
    this.quotes.add(toHex(quote.signedBytes));
    this.enclaves.add(enclaveOf(quote));
  }

  addCollateral(collateral: QuoteCollateralV3): void {
    for (const document of documentsOf(collateral)) this.documents.add(document);
  }

  /** The pieces that nobody signed. */
  foreign(quote: ParsedQuote, collateral: QuoteCollateralV3): readonly string[] {
    return [
      ...(this.quotes.has(toHex(quote.signedBytes)) ? [] : ['signed bytes']),
      ...(this.enclaves.has(enclaveOf(quote)) ? [] : ['attestation key or QE report']),
      ...documentsOf(collateral).filter((document) => !this.documents.has(document)),
    ];
  }
}

function enclaveOf({ attestationKey, qeReportBytes, qeAuthData }: ParsedQuote): string {
  return [attestationKey, qeReportBytes, qeAuthData].map(toHex).join(' ');
}

function documentsOf({ tcb_info, qe_identity, pck_crl, root_ca_crl }: QuoteCollateralV3): readonly string[] {
  const revocationList = (text: string): string => text.replace(/^0x/, '').toLowerCase();
  return [
    `tcb_info ${tcb_info}`,
    `qe_identity ${qe_identity}`,
    `pck_crl ${revocationList(pck_crl)}`,
    `root_ca_crl ${revocationList(root_ca_crl)}`,
  ];
}
