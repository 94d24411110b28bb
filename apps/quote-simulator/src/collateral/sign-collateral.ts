import { type KeyObject, sign, X509Certificate } from 'node:crypto';
import { boundsOf, signingKey } from '../defects/certify.js';
import type { DatedPiece, PlatformState } from '../defects/platform-state.js';
import { issueCrl } from '../pki/certificate-revocation-list.js';
import type { PlatformPki } from '../pki/platform-pki.js';
import { qeIdentityText } from './qe-identity.js';
import { tcbInfoText } from './tcb-info.js';
import { toSeconds, type ValidityWindow } from './validity-window.js';

/** Signed documents of one TEE: response bodies, the signed inner object's exact text within. */
export interface TeeDocuments {
  readonly tcbInfo: string;
  readonly qeIdentity: string;
}

/** One generation of signed documents; all of them are signed at one moment. CRLs are DER. */
export interface Collateral {
  readonly tdx: TeeDocuments;
  readonly sgx: TeeDocuments;
  readonly rootCrl: Uint8Array;
  readonly platformCrl: Uint8Array;
  readonly processorCrl: Uint8Array;
}

export interface SigningInput {
  readonly pki: PlatformPki;
  readonly state: PlatformState;
  readonly window: ValidityWindow;
  readonly now: Date;
  /** CRL number. */
  readonly number: number;
}

/** Signs the documents and CRLs of a platform in a state. */
export function signCollateral(input: SigningInput): Collateral {
  const { pki, state } = input;
  const tdx = signDocuments(input, 'tdx');
  const sgx = signDocuments(input, 'sgx');
  const serial = (pem: string): Uint8Array => Buffer.from(new X509Certificate(pem).serialNumber, 'hex');
  const revoked = (...pieces: readonly ['platform-ca' | 'tcb-signing' | 'pck', string][]): Uint8Array[] =>
    pieces.filter(([piece]) => state.revoked?.includes(piece) === true).map(([, pem]) => serial(pem));
  const underRoot = revoked(['platform-ca', pki.platformCaPem], ['tcb-signing', pki.tcbSigningPem]);
  return {
    tdx: state.documentsSwapped === true ? sgx : tdx,
    sgx: state.documentsSwapped === true ? tdx : sgx,
    rootCrl: signCrl(input, 'root-crl', pki.root, underRoot),
    platformCrl: signCrl(input, 'pck-crl', pki.platformCa, revoked(['pck', pki.pckPem])),
    processorCrl: signCrl(input, 'pck-crl', pki.processorCa, []),
  };
}

function signDocuments(input: SigningInput, tee: 'tdx' | 'sgx'): TeeDocuments {
  const { pki, state } = input;
  const tcbInfo = tcbInfoText(tee, windowOf(input, 'tcb-info'), state);
  const identity = qeIdentityText(tee, windowOf(input, 'qe-identity'), state);
  const malformed = state.malformed?.includes('qe-identity') === true;
  return {
    tcbInfo: signedDocument('tcbInfo', tcbInfo, signingKey(state, 'tcb-info', pki.tcbSigningKey)),
    qeIdentity: signedDocument(
      'enclaveIdentity',
      malformed ? identity.replace('"version":2', '"version":9') : identity,
      signingKey(state, 'qe-identity', pki.tcbSigningKey),
    ),
  };
}

function windowOf({ state, window, now }: SigningInput, piece: DatedPiece): ValidityWindow {
  const bounds = boundsOf(state, piece, now);
  if (bounds === undefined) return window;
  return { issueDate: toSeconds(bounds.notBefore), nextUpdate: toSeconds(bounds.notAfter) };
}

function signCrl(
  input: SigningInput,
  piece: 'root-crl' | 'pck-crl',
  issuer: PlatformPki['root'],
  revoked: readonly Uint8Array[],
): Uint8Array {
  const { state, number } = input;
  const { issueDate, nextUpdate } = windowOf(input, piece);
  const crl = issueCrl({
    issuer: { ...issuer, privateKey: signingKey(state, piece, issuer.privateKey) },
    number,
    revoked,
    thisUpdate: new Date(issueDate),
    nextUpdate: new Date(nextUpdate),
  });
  return state.malformed?.includes(piece) === true ? crl.subarray(0, crl.length - 1) : crl;
}

/** `{"<name>":<text>,"signature":"<r‖s, 128 hex digits>"}` with the signed text inside byte for byte. */
function signedDocument(name: 'tcbInfo' | 'enclaveIdentity', text: string, key: KeyObject): string {
  const signature = sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' });
  return `{"${name}":${text},"signature":"${signature.toString('hex')}"}`;
}
