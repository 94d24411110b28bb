import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { issueCertificate, type Signer } from '../pki/certificate.js';
import type { PlatformPki } from '../pki/platform-pki.js';
import { PKI_NAMES, pckExtension } from '../pki/platform-pki.js';
import { type DatedPiece, type PlatformState, type SignedPiece } from './platform-state.js';

/** Bounds of a piece of collateral. */
export interface Bounds {
  readonly notBefore: Date;
  readonly notAfter: Date;
}

const DAY_MS = 24 * 3_600_000;

/** Bounds of a piece that a state puts out of its time; undefined when it is in time. */
export function boundsOf(state: PlatformState, piece: DatedPiece, now: Date): Bounds | undefined {
  const at = (days: number): Date => new Date(now.getTime() + days * DAY_MS);
  if (state.expired?.includes(piece) === true) return { notBefore: at(-60), notAfter: at(-1) };
  if (state.notYetValid?.includes(piece) === true) return { notBefore: at(1), notAfter: at(60) };
  return undefined;
}

/** The key that signs a piece in a state: the right one, or a stranger's. */
export function signingKey(state: PlatformState, piece: SignedPiece, genuine: KeyObject): KeyObject {
  if (state.forged?.includes(piece) !== true) return genuine;
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
}

/** The PKI with its certificates issued again as the state has them; keys stay the same. */
export function certify(pki: PlatformPki, state: PlatformState, now: Date): PlatformPki {
  const reissue = (
    piece: 'platform-ca' | 'tcb-signing' | 'pck',
    subject: Subject,
    issuer: Signer,
    pem: string,
  ): string => {
    const bounds = boundsOf(state, piece, now);
    if (bounds === undefined && state.forged?.includes(piece) !== true) return pem;
    const inTime = { notBefore: new Date(now.getTime() - DAY_MS), notAfter: new Date(now.getTime() + 365 * DAY_MS) };
    return issueCertificate({
      commonName: subject.name,
      publicKey: createPublicKey(subject.key),
      issuer: { ...issuer, privateKey: signingKey(state, piece, issuer.privateKey) },
      ...(bounds ?? inTime),
      pathLength: subject.pathLength,
      ...(subject.sgxExtension === undefined ? {} : { sgxExtension: subject.sgxExtension }),
    });
  };
  const platformCa = { name: PKI_NAMES.platformCa, key: pki.platformCa.privateKey, pathLength: 0 };
  const signer = { name: PKI_NAMES.tcbSigning, key: pki.tcbSigningKey, pathLength: null };
  const pck = { name: PKI_NAMES.pck, key: pki.pckKey, pathLength: null, sgxExtension: pckExtension(pki) };
  return {
    ...pki,
    platformCaPem: reissue('platform-ca', platformCa, pki.root, pki.platformCaPem),
    tcbSigningPem: reissue('tcb-signing', signer, pki.root, pki.tcbSigningPem),
    pckPem: reissue('pck', pck, pki.platformCa, pki.pckPem),
  };
}

interface Subject {
  readonly name: string;
  readonly key: KeyObject;
  readonly pathLength: number | null;
  readonly sgxExtension?: ArrayBuffer;
}
