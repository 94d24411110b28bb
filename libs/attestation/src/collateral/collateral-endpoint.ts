import type { Platform } from './platform.js';

/** A server that gives collateral: a PCCS (API v4) or Intel's own service. */
export interface CollateralEndpoint {
  /** Base URL, for example `https://pccs.example:8081`; the v4 paths are appended. */
  readonly url: string;
  /** Where the root CRL is, when it is not at the PCCS path under `url`: Intel's service keeps it on another host. */
  readonly rootCrlUrl?: string;
  /** PEM of the roots to trust for TLS with this endpoint, instead of the system's: for a PCCS with a private CA. */
  readonly tlsRootsPem?: string;
  /** Allows `http:` to another machine. Documents are signed, but whoever is on the way can withhold newer ones. */
  readonly unsafePlainHttp?: true;
}

/** Intel's Provisioning Certification Service. */
export const INTEL_PCS: CollateralEndpoint = {
  url: 'https://api.trustedservices.intel.com',
  rootCrlUrl: 'https://certificates.trustedservices.intel.com/IntelSGXRootCA.der',
};

/** An endpoint was configured that cannot be used. Not retryable. */
export class InvalidEndpointError extends Error {
  readonly code = 'COLLATERAL_ENDPOINT_INVALID';
  readonly retryable = false;
  constructor(message: string) {
    super(message);
    this.name = 'InvalidEndpointError';
  }
}

/** The four documents that make up the collateral of a platform. */
export type DocumentUrls = Readonly<Record<'tcb' | 'identity' | 'pckCrl' | 'rootCrl', URL>>;

/** Which evaluation of the TCB to ask for; Intel's default is `standard`. */
export type TcbUpdate = 'early' | 'standard';

/** Name of an endpoint in errors: without credentials, query and fragment. */
export function endpointName(endpoint: CollateralEndpoint): string {
  const url = checkedUrl(endpoint.url, endpoint);
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
}

/** Paths of attestation §3. @throws InvalidEndpointError */
export function documentUrls(
  endpoint: CollateralEndpoint,
  { tee, fmspc, ca }: Platform,
  update: TcbUpdate | undefined,
): DocumentUrls {
  const base = checkedUrl(endpoint.url, endpoint).href.replace(/\/+$/, '');
  const url = (path: string, query: Readonly<Record<string, string>>): URL => {
    const built = new URL(`${base}/${path}`);
    for (const [name, value] of Object.entries(query)) built.searchParams.set(name, value);
    return built;
  };
  const evaluation: Record<string, string> = update === undefined ? {} : { update };
  return {
    tcb: url(`${tee}/certification/v4/tcb`, { fmspc, ...evaluation }),
    identity: url(`${tee}/certification/v4/qe/identity`, evaluation),
    pckCrl: url('sgx/certification/v4/pckcrl', { ca, encoding: 'der' }),
    rootCrl:
      endpoint.rootCrlUrl === undefined
        ? url('sgx/certification/v4/rootcacrl', {})
        : checkedUrl(endpoint.rootCrlUrl, endpoint),
  };
}

function checkedUrl(text: string, endpoint: CollateralEndpoint): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null) throw new InvalidEndpointError(`"${text}" is not a URL of a collateral endpoint`);
  const name = `${url.protocol}//${url.host}`;
  if (url.username !== '' || url.password !== '') {
    throw new InvalidEndpointError(`${name}: a collateral endpoint takes no credentials in its URL`);
  }
  if (url.search !== '' || url.hash !== '') {
    throw new InvalidEndpointError(`${name}: the URL of a collateral endpoint has no query or fragment`);
  }
  if (url.protocol === 'https:') return url;
  if (url.protocol !== 'http:') throw new InvalidEndpointError(`${name}: use https (or http on this machine)`);
  if (!isLoopback(url.hostname) && endpoint.unsafePlainHttp !== true) {
    throw new InvalidEndpointError(`${name}: plain http to another machine needs unsafePlainHttp`);
  }
  return url;
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}
