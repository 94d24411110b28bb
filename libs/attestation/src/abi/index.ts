export { type ParseQuoteResult, parseQuote } from './parse-quote.js';
export type { CertificationData, ParsedQuote, QuoteHeader, SgxReport, TdReport } from './parsed-quote.js';
export { BODY_TYPES, CERTIFICATION_TYPES, QUOTE } from './quote-format.js';
export { REPORT_BYTES } from './report-layout.js';
