import type { ParsedQuote } from '../abi/parsed-quote.js';
import { Refusal } from '../refusal.js';
import { NAME_PHRASES } from '../verify/collateral-signatures.js';
import { readPckChain } from '../verify/pck.js';
import type { Certificate } from '../x509/certificate.js';
import { CollateralUnavailableError } from './collateral-unavailable-error.js';

/** What collateral is about: kind of TEE, FMSPC (12 hex digits, lower case), and the CA that issued the PCK certificate. */
export interface Platform {
  readonly tee: 'sgx' | 'tdx';
  readonly fmspc: string;
  readonly ca: 'platform' | 'processor';
}

/**
 * The platform a quote says it is from. Nothing is verified: it only decides which collateral is asked for.
 * @throws CollateralUnavailableError, not retryable
 */
export function platformOf(quote: ParsedQuote): Platform {
  try {
    const { extension, ca } = readPckChain(quote, null);
    return { tee: quote.header.tee === 'TDX' ? 'tdx' : 'sgx', fmspc: extension.fmspc, ca };
  } catch (error) {
    if (error instanceof Refusal) throw new CollateralUnavailableError(error.message, false, [], { cause: error });
    throw error;
  }
}

/** For keys and messages, for example `tdx/00a06f050000/platform`. */
export function platformName({ tee, fmspc, ca }: Platform): string {
  return `${tee}/${fmspc}/${ca}`;
}

/** Which of Intel's two PCK CAs a certificate is, by its name. */
export function caKindOf({ commonName }: Certificate): Platform['ca'] | null {
  if (commonName.includes(NAME_PHRASES.platformCa)) return 'platform';
  return commonName.includes(NAME_PHRASES.processorCa) ? 'processor' : null;
}
