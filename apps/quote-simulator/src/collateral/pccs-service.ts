import type { SimulatedPlatform } from '../defects/simulated-platform.js';
import { type Handler, RequestRefusedError, type ServiceRequest, type ServiceResponse } from '../http/json-service.js';
import { PLATFORM } from '../platform.js';
import type { CollateralSource } from './collateral-source.js';
import type { TeeDocuments } from './sign-collateral.js';
import { evaluationDataNumber } from './tcb-info.js';

const SGX = '/sgx/certification/v4';
const TDX = '/tdx/certification/v4';

/**
 * The collateral service, in the shape of a PCCS v4 (attestation §3): bodies as signed, issuer chains URL-encoded in
 * headers, the root CRL as hex text (or DER with `encoding=der`), the PCK CRL as DER or PEM. `GET /healthz` besides.
 */
export function pccsService(platform: SimulatedPlatform, source: CollateralSource, health: () => unknown): Handler {
  const routes: Record<string, (query: URLSearchParams) => Promise<ServiceResponse>> = {
    '/healthz': async () => ({ status: 200, body: health() }),
    [`${SGX}/rootcacrl`]: async (query) => {
      const { rootCrl } = await source.current();
      const der = query.get('encoding')?.toLowerCase() === 'der';
      return crlResponse(der ? rootCrl : Buffer.from(rootCrl).toString('hex'), {});
    },
    [`${SGX}/pckcrl`]: async (query) => pckCrl(platform, source, query),
    [`${SGX}/pckcert`]: async (query) => pckCertificate(platform, query),
    [`${SGX}/tcb`]: async (query) => tcbInfo(platform, (await source.current()).sgx, query),
    [`${TDX}/tcb`]: async (query) => tcbInfo(platform, (await source.current()).tdx, query),
    [`${SGX}/qe/identity`]: async (query) => qeIdentity(platform, (await source.current()).sgx, query),
    [`${TDX}/qe/identity`]: async (query) => qeIdentity(platform, (await source.current()).tdx, query),
  };
  return async (request: ServiceRequest) => {
    const route = Object.hasOwn(routes, request.path) ? routes[request.path] : undefined;
    if (route === undefined) throw new RequestRefusedError(404, 'not-found', `no such path: ${request.path}`);
    if (request.method !== 'GET') throw new RequestRefusedError(405, 'method-not-allowed', 'only GET is offered');
    return route(request.query);
  };
}

function tcbInfo(platform: SimulatedPlatform, documents: TeeDocuments, query: URLSearchParams): ServiceResponse {
  const fmspc = required(query, 'fmspc', /^[0-9a-f]{12}$/i, '12 hex digits');
  requireOurs('fmspc', fmspc, PLATFORM.fmspc);
  requireEvaluation(platform, query);
  return { status: 200, headers: json({ 'TCB-Info-Issuer-Chain': tcbChain(platform) }), body: documents.tcbInfo };
}

function qeIdentity(platform: SimulatedPlatform, documents: TeeDocuments, query: URLSearchParams): ServiceResponse {
  requireEvaluation(platform, query);
  const headers = json({ 'SGX-Enclave-Identity-Issuer-Chain': tcbChain(platform) });
  return { status: 200, headers, body: documents.qeIdentity };
}

function tcbChain({ pki }: SimulatedPlatform): string {
  return encodeURIComponent(`${pki.tcbSigningPem}${pki.rootPem}`);
}

async function pckCrl(
  { pki }: SimulatedPlatform,
  source: CollateralSource,
  query: URLSearchParams,
): Promise<ServiceResponse> {
  const ca = required(query, 'ca', /^(platform|processor)$/, '"platform" or "processor"');
  const encoding = (query.get('encoding') ?? 'pem').toLowerCase();
  if (encoding !== 'der' && encoding !== 'pem') {
    throw new RequestRefusedError(400, 'parameter-invalid', 'encoding: expected "der" or "pem"');
  }
  const current = await source.current();
  const crl = ca === 'platform' ? current.platformCrl : current.processorCrl;
  const caPem = ca === 'platform' ? pki.platformCaPem : pki.processorCaPem;
  const chain = encodeURIComponent(`${caPem}${pki.rootPem}`);
  return crlResponse(encoding === 'der' ? crl : crlPem(crl), { 'SGX-PCK-CRL-Issuer-Chain': chain });
}

function pckCertificate({ pki }: SimulatedPlatform, query: URLSearchParams): ServiceResponse {
  requireOurs('qeid', required(query, 'qeid', /^[0-9a-f]{32}$/i, '32 hex digits'), hex(pki.qeId));
  requireOurs('pceid', required(query, 'pceid', /^[0-9a-f]{4}$/i, '4 hex digits'), PLATFORM.pceId);
  required(query, 'cpusvn', /^[0-9a-f]{32}$/i, '32 hex digits');
  required(query, 'pcesvn', /^[0-9a-f]{4}$/i, '4 hex digits');
  const pceSvn = Buffer.alloc(2);
  pceSvn.writeUInt16LE(PLATFORM.pceSvn);
  return {
    status: 200,
    headers: {
      'content-type': 'application/x-pem-file',
      'SGX-PCK-Certificate-Issuer-Chain': encodeURIComponent(`${pki.platformCaPem}${pki.rootPem}`),
      'SGX-TCBm': hex(Uint8Array.from(PLATFORM.sgxComponents)) + hex(pceSvn),
      'SGX-FMSPC': PLATFORM.fmspc,
      'SGX-PCK-Certificate-CA-Type': 'platform',
    },
    body: pki.pckPem,
  };
}

function requireEvaluation({ state }: SimulatedPlatform, query: URLSearchParams): void {
  const offered = evaluationDataNumber(state);
  const update = query.get('update');
  const number = query.get('tcbEvaluationDataNumber');
  if (update !== null && number !== null) {
    throw new RequestRefusedError(400, 'parameter-invalid', 'give update or tcbEvaluationDataNumber, not both');
  }
  if (update !== null && update !== 'early' && update !== 'standard') {
    throw new RequestRefusedError(400, 'parameter-invalid', 'update: expected "early" or "standard"');
  }
  if (number !== null && number !== String(offered)) {
    throw new RequestRefusedError(404, 'collateral-not-found', `tcbEvaluationDataNumber: only ${offered} is offered`);
  }
}

function required(query: URLSearchParams, name: string, form: RegExp, expected: string): string {
  const value = query.get(name);
  if (value === null || !form.test(value)) {
    throw new RequestRefusedError(400, 'parameter-invalid', `${name}: expected ${expected}`);
  }
  return value;
}

function requireOurs(name: string, value: string, ours: string): void {
  if (value.toLowerCase() !== ours) {
    throw new RequestRefusedError(404, 'collateral-not-found', `${name}: this simulator knows only ${ours}`);
  }
}

function crlResponse(body: string | Uint8Array, headers: Record<string, string>): ServiceResponse {
  return { status: 200, headers: { 'content-type': 'application/pkix-crl', ...headers }, body };
}

function crlPem(der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN X509 CRL-----\n${lines.join('\n')}\n-----END X509 CRL-----\n`;
}

function json(headers: Record<string, string>): Record<string, string> {
  return { 'content-type': 'application/json', ...headers };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
