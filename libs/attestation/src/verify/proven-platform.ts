import type { KeyObject } from 'node:crypto';
import type { Check } from '../check.js';
import { CertificateStore } from '../x509/certificate-store.js';
import { importP256 } from '../x509/p256.js';
import { copyExtension, type PckExtension } from '../x509/pck-extension.js';
import type { CollateralGeneration } from './collateral-generation.js';
import { requireNotRevoked, verifyRevocationList } from './collateral-signatures.js';
import { type PckChain, parsePckChain, requirePlatform, verifyCrlChain, verifyPckChain } from './pck.js';
import type { VerifySheet } from './verify-checks.js';
import { ValidityWindow } from './window.js';

/**
 * What is kept of a PCK chain that was verified under one collateral generation: not the certificates, for there may be
 * many platforms. Whether the time is right is asked at every use.
 */
export class ProvenPlatform {
  readonly window: ValidityWindow;
  readonly extension: PckExtension;
  readonly ca: PckChain['ca'];
  private readonly point: Uint8Array;
  private key: KeyObject | undefined;
  private platformCheck: readonly Check[] | undefined;

  private constructor(
    readonly generation: CollateralGeneration,
    pck: PckChain,
    private readonly chainChecks: readonly Check[],
  ) {
    this.window = new ValidityWindow(generation.parsed, pck.chain);
    this.extension = copyExtension(pck.extension);
    this.ca = pck.ca;
    this.point = new Uint8Array(pck.leaf.publicPoint);
  }

  /**
   * Step 4, under the same anchor as the collateral (mixing two trusted roots is refused): PCK chain, its CRL, revocation.
   * `chain` is PEM.
   */
  static prove(sheet: VerifySheet, generation: CollateralGeneration, chain: Uint8Array): ProvenPlatform {
    const { parsed, trustAnchor } = generation;
    const pck = sheet.step(
      'pck.chain',
      () => {
        const read = parsePckChain(chain, new CertificateStore(generation.store));
        verifyPckChain(read, trustAnchor);
        return read;
      },
      (read) => `PCK ${read.leaf.serial} under the ${read.ca} CA, anchored in "${trustAnchor.name}"`,
    );
    sheet.step(
      'collateral.pck-crl',
      () => {
        verifyCrlChain(parsed, pck, trustAnchor);
        verifyRevocationList(parsed.pckCrl, pck.intermediate, 'PCK CRL');
      },
      () => `${parsed.pckCrl.revoked.size} revoked, updated ${parsed.pckCrl.thisUpdate.toISOString()}`,
    );
    sheet.step(
      'pck.revocation',
      () => {
        requireNotRevoked(pck.intermediate, parsed.rootCrl);
        requireNotRevoked(pck.leaf, parsed.pckCrl);
      },
      () => 'PCK and its CA are not revoked',
    );
    const checks = sheet.recorded('pck.chain', 'collateral.pck-crl', 'pck.revocation');
    return new ProvenPlatform(generation, pck, checks);
  }

  /** Writes down what was established when this platform was proven. */
  adopt(sheet: VerifySheet): void {
    sheet.adopt(this.chainChecks);
  }

  /** The window over everything, at `now`, and whether the TCB info is about this platform. */
  require(sheet: VerifySheet, now: Date): void {
    sheet.step(
      'collateral.window',
      () => this.window.require(now),
      () => this.window.describe(now),
    );
    if (this.platformCheck !== undefined) {
      sheet.adopt(this.platformCheck);
      return;
    }
    const { extension } = this;
    sheet.step(
      'pck.platform',
      () => requirePlatform(extension, this.generation.parsed.tcbInfo),
      () => `FMSPC ${extension.fmspc}, PCEID ${extension.pceId}`,
    );
    this.platformCheck = sheet.recorded('pck.platform');
  }

  /** The key of the PCK leaf, imported once. @throws Refusal `KEY_INVALID` */
  pckKey(): KeyObject {
    this.key ??= importP256(this.point, 'the PCK key');
    return this.key;
  }
}
