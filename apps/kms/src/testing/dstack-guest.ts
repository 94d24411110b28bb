import { request } from 'node:https';
import {
  isRuntimeEvent,
  parseEventLog,
  ratlsReportData,
  signCsr,
  stripForCertificate,
  type VersionedAttestation,
  writeAttestation,
  writeCsr,
} from '@vouch/attestation';
import { generateP256, mintTempClient, type P256Key, p256FromPem } from '@vouch/keys';
import type { SimulatedGuest } from './simulated-guest.js';

/** TLS material of a client: what it trusts (null: anything, as a guest's first connection) and shows. */
export interface WireClient {
  readonly ca: string | null;
  readonly cert?: string;
  readonly key?: string;
}

export interface WireAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
  /** DER of the certificate the server showed. */
  readonly serverCertificate: Buffer;
}

export interface WireCall {
  readonly port: number;
  readonly path: string;
  readonly method?: 'GET' | 'POST';
  readonly body?: string | Uint8Array;
  readonly headers?: Record<string, string>;
}

/** One HTTPS request on a connection of its own. Rejects when TLS or the connection fails. */
export function wireRequest(client: WireClient, call: WireCall): Promise<WireAnswer> {
  return new Promise((resolve, reject) => {
    const { ca, ...identity } = client;
    const trust = ca === null ? { rejectUnauthorized: false } : { ca, servername: 'kms.example' };
    const { port, path, method = 'POST', headers } = call;
    const options = { host: '127.0.0.1', port, path, method, headers, agent: false as const, ...trust, ...identity };
    const sent = request(options, (response) => {
      const socket = response.socket as import('node:tls').TLSSocket;
      const serverCertificate = socket.getPeerX509Certificate()?.raw ?? Buffer.alloc(0);
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const body = Buffer.concat(chunks);
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body, serverCertificate });
      });
    });
    sent.on('error', reject);
    sent.end(call.body);
  });
}

/** As dstack's own clients call: POST with `?json`, a JSON body and no content type. */
export async function wireCall(
  client: WireClient,
  port: number,
  method: string,
  input?: unknown,
): Promise<{ readonly status: number; readonly json: Readonly<Record<string, unknown>> }> {
  const body = input === undefined ? '' : JSON.stringify(input);
  const answer = await wireRequest(client, { port, path: `/prpc/${method}?json`, body });
  return { status: answer.status, json: JSON.parse(answer.body.toString()) as Record<string, unknown> };
}

/** A simulated guest as dstack's own guest software behaves: evidence in certificates and certificate requests. */
export class DstackGuest {
  constructor(readonly guest: SimulatedGuest) {}

  /** Attestation that binds a key, with the whole event log. */
  async attestation(spki: Uint8Array): Promise<VersionedAttestation> {
    return await this.attestationOver(ratlsReportData(spki));
  }

  /** Version 0 attestation over 64 bytes of report data. */
  async attestationOver(reportData: Uint8Array): Promise<VersionedAttestation> {
    const { quote, eventLog, vmConfig } = await this.guest.evidenceOver(reportData);
    const parsed = parseEventLog(eventLog);
    if (!parsed.ok) throw new Error(parsed.failed.detail);
    const { events } = parsed;
    return {
      version: 0,
      platform: { kind: 'tdx', quote: new Uint8Array(Buffer.from(quote, 'base64')), eventLog: events },
      stack: {
        reportData,
        runtimeEvents: events
          .filter(isRuntimeEvent)
          .map(({ event, payload, version }) => ({ event, payload, version })),
        config: vmConfig,
        reportDataPayload: null,
      },
    };
  }

  /** A client for the second connection: fresh key, certificate under the temp CA with this (stripped) attestation. */
  async client(
    tempCaKey: string,
    ca: string,
    change: (attestation: VersionedAttestation) => VersionedAttestation = (same) => same,
    key: P256Key = generateP256(),
  ): Promise<WireClient> {
    const attestation = writeAttestation(stripForCertificate(change(await this.attestation(key.spki))));
    const { pem } = mintTempClient(p256FromPem(tempCaKey), { publicKey: key.spki, attestation, now: new Date() });
    return { ca, cert: pem, key: key.privateKey.export({ format: 'pem', type: 'pkcs8' }) as string };
  }

  /** A version 2 certificate request and its signature, hex as SignCert takes them. */
  async csr(
    config: Partial<Parameters<typeof writeCsr>[0]['config']> & { readonly subjectAltNames?: readonly string[] },
    key: P256Key = generateP256(),
    signer: P256Key = key,
  ): Promise<{ readonly csr: string; readonly signature: string }> {
    const bytes = writeCsr({
      version: 2,
      publicKey: key.spki,
      config: {
        ...{ subject: 'demo', subjectAltNames: [], usageServerAuth: true, usageClientAuth: false },
        ...{ extQuote: true, extAppInfo: true },
        ...config,
      },
      attestation: await this.attestation(key.spki),
    });
    const hex = (value: Uint8Array) => Buffer.from(value).toString('hex');
    return { csr: hex(bytes), signature: hex(signCsr(bytes, signer.privateKey)) };
  }
}
