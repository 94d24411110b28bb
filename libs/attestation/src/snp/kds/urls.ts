import { toHex } from '../../bytes.js';
import type { SnpProduct } from '../product.js';
import type { SnpTcbVersion } from '../tcb-version.js';

/** AMD's Key Distribution Service (specification 57230). */
export const AMD_KDS_URL = 'https://kdsintf.amd.com';

/** Kind of endorsement key a path is about. */
export type KdsKeyKind = 'VCEK' | 'VLEK';

/** Turin addresses a chip by the 8 bytes of the id it uses. */
const TURIN_CHIP_ID_BYTES = 8;

/** What a VCEK is asked for by: the chip and the reported patch levels. */
export interface VcekAddress {
  readonly product: SnpProduct;
  /** 64 bytes, as in the report. */
  readonly chipId: Uint8Array;
  readonly tcb: SnpTcbVersion;
}

/** `<base>/vcek/v1/<product>/<chip id>?[fmcSPL=&]blSPL=&teeSPL=&snpSPL=&ucodeSPL=`: the certificate, DER. */
export function kdsVcekUrl(base: string, { product, chipId, tcb }: VcekAddress): URL {
  const used = product === 'Turin' ? chipId.subarray(0, TURIN_CHIP_ID_BYTES) : chipId;
  const url = kdsUrl(base, 'VCEK', product, toHex(used));
  if (product === 'Turin') url.searchParams.set('fmcSPL', String(tcb.fmc ?? 0));
  url.searchParams.set('blSPL', String(tcb.bootloader));
  url.searchParams.set('teeSPL', String(tcb.tee));
  url.searchParams.set('snpSPL', String(tcb.snp));
  url.searchParams.set('ucodeSPL', String(tcb.microcode));
  return url;
}

/** `<base>/<vcek|vlek>/v1/<product>/cert_chain`: ASK or ASVK, then ARK, PEM. */
export function kdsChainUrl(base: string, kind: KdsKeyKind, product: SnpProduct): URL {
  return kdsUrl(base, kind, product, 'cert_chain');
}

/** `<base>/<vcek|vlek>/v1/<product>/crl`: the root's CRL, DER. */
export function kdsRevocationListUrl(base: string, kind: KdsKeyKind, product: SnpProduct): URL {
  return kdsUrl(base, kind, product, 'crl');
}

/** A base that already ends in `/vcek/v1` (dstack's setting) is accepted. */
function kdsUrl(base: string, kind: KdsKeyKind, product: SnpProduct, leaf: string): URL {
  const root = base.replace(/\/+$/, '').replace(/\/(vcek|vlek)\/v1$/, '');
  return new URL(`${root}/${kind.toLowerCase()}/v1/${product}/${leaf}`);
}
