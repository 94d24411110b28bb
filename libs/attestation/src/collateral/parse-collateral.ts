import { fromHex } from '../bytes.js';
import { Refusal } from '../refusal.js';
import { CertificateStore } from '../x509/certificate-store.js';
import { type Chain, readChain } from '../x509/chain.js';
import { parseRevocationList, type RevocationList } from '../x509/revocation-list.js';
import { type EnclaveIdentity, readEnclaveIdentity } from './enclave-identity.js';
import type { QuoteCollateralV3 } from './quote-collateral.js';
import { readTcbInfo, type TcbInfo } from './tcb-info.js';

/** Collateral with every piece parsed; nothing in it is verified yet. */
export interface ParsedCollateral {
  readonly tcbInfo: TcbInfo;
  /** Exact signed bytes and r ‖ s. */
  readonly tcbInfoBytes: Uint8Array;
  readonly tcbInfoSignature: Uint8Array;
  readonly tcbInfoChain: Chain;
  readonly qeIdentity: EnclaveIdentity;
  readonly qeIdentityBytes: Uint8Array;
  readonly qeIdentitySignature: Uint8Array;
  readonly qeIdentityChain: Chain;
  readonly rootCrl: RevocationList;
  readonly pckCrl: RevocationList;
  readonly pckCrlChain: Chain;
  /** PEM, for quotes that carry none. */
  readonly pckChainPem: string | null;
}

const TCB_CHAIN_LENGTH = 2;
/** Far above anything Intel publishes; keeps a hostile server from making us parse for long. */
const FIELD_MAX_CHARS = 4 * 1024 * 1024;

/** @throws Refusal of the piece that is malformed. */
export function parseCollateral(collateral: QuoteCollateralV3, store = new CertificateStore()): ParsedCollateral {
  const chain = (name: keyof QuoteCollateralV3): Chain =>
    readChain(field(collateral, name), TCB_CHAIN_LENGTH, name, store);
  for (const [name, value] of Object.entries(collateral)) {
    if (typeof value !== 'string') throw new Refusal('COLLATERAL_FORMAT', `${name} is not a string`);
    if (value.length > FIELD_MAX_CHARS) throw new Refusal('COLLATERAL_FORMAT', `${name} is too long`);
  }
  const tcbInfoChain = chain('tcb_info_issuer_chain');
  // Intel signs both documents with one key, so that the two texts are the same.
  const oneChain = collateral.qe_identity_issuer_chain === collateral.tcb_info_issuer_chain;
  return {
    tcbInfo: readTcbInfo(field(collateral, 'tcb_info')),
    tcbInfoBytes: Buffer.from(collateral.tcb_info, 'utf8'),
    tcbInfoSignature: signature(collateral, 'tcb_info_signature'),
    tcbInfoChain,
    qeIdentity: readEnclaveIdentity(field(collateral, 'qe_identity')),
    qeIdentityBytes: Buffer.from(collateral.qe_identity, 'utf8'),
    qeIdentitySignature: signature(collateral, 'qe_identity_signature'),
    qeIdentityChain: oneChain ? tcbInfoChain : chain('qe_identity_issuer_chain'),
    rootCrl: revocationList(collateral, 'root_ca_crl'),
    pckCrl: revocationList(collateral, 'pck_crl'),
    pckCrlChain: chain('pck_crl_issuer_chain'),
    pckChainPem: collateral.pck_certificate_chain ?? null,
  };
}

function field(collateral: QuoteCollateralV3, name: keyof QuoteCollateralV3): string {
  const value = collateral[name];
  if (value === undefined) throw new Refusal('COLLATERAL_FORMAT', `${name} is missing`);
  return value;
}

function signature(collateral: QuoteCollateralV3, name: keyof QuoteCollateralV3): Uint8Array {
  const bytes = fromHex(field(collateral, name), 64);
  if (bytes === undefined) throw new Refusal('COLLATERAL_FORMAT', `${name} is not 128 hex digits`);
  return bytes;
}

/** CRLs travel as DER in hex, sometimes with 0x in front, sometimes as PEM. */
function revocationList(collateral: QuoteCollateralV3, name: keyof QuoteCollateralV3): RevocationList {
  const text = field(collateral, name);
  const pem = /^\s*-----BEGIN X509 CRL-----([A-Za-z0-9+/=\s]+)-----END X509 CRL-----\s*$/.exec(text)?.[1];
  const bytes = pem === undefined ? fromHex(text.replace(/^0x/, '')) : new Uint8Array(Buffer.from(pem, 'base64'));
  if (bytes === undefined) throw new Refusal('COLLATERAL_FORMAT', `${name} is not DER in hex`);
  return parseRevocationList(bytes);
}
