import { createServer as createHttp, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createHttps } from 'node:https';
import type { AddressInfo } from 'node:net';
import { fromHex } from '../../bytes.js';
import { certify, newIdentity, toPem } from '../../testing/test-pki.js';
import type { QuoteCollateralV3 } from '../quote-collateral.js';

/** How the server answers. `truncated` ends the connection in the middle of a body; `forged` changes one signed byte. */
export type PccsMode =
  | 'ok'
  | 'slow'
  | 'server-error'
  | 'not-found'
  | 'truncated'
  | 'garbage'
  | 'html'
  | 'forged'
  | 'huge'
  | 'reset';

/** A collateral server on loopback, over HTTP or HTTPS with a certificate for `localhost`, that can be told to fail. */
export class TestPccs {
  mode: PccsMode = 'ok';
  /** CRLs as hex text, as a PCCS answers the root CRL; else DER. */
  crlAsHex = false;
  asked = 0;
  readonly paths: string[] = [];
  private constructor(
    private readonly server: Server,
    readonly url: string,
    /** PEM of the root of its TLS certificate; undefined without TLS. */
    readonly tlsRootsPem: string | undefined,
    public collateral: QuoteCollateralV3,
  ) {}

  static async start(collateral: QuoteCollateralV3, options: { readonly tls?: TlsShape } = {}): Promise<TestPccs> {
    const { tls } = options;
    const material = tls === undefined ? undefined : tlsMaterial(tls);
    const server = (material === undefined ? createHttp() : createHttps(material)) as Server;
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    const { port } = server.address() as AddressInfo;
    const url = material === undefined ? `http://127.0.0.1:${port}` : `https://localhost:${port}`;
    const pccs = new TestPccs(server, url, material?.rootPem, collateral);
    server.on('request', (request, response) => pccs.serve(request, response));
    return pccs;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => {
      this.server.close(resolve);
    });
  }

  private serve(request: IncomingMessage, response: ServerResponse): void {
    this.asked += 1;
    this.paths.push(request.url ?? '');
    if (this.mode === 'slow') return;
    if (this.mode === 'reset') {
      request.socket.resetAndDestroy();
      return;
    }
    if (this.mode === 'server-error') response.writeHead(500).end('broken');
    else if (this.mode === 'not-found') response.writeHead(404).end('no such platform');
    else if (this.mode === 'html') response.writeHead(200).end('<html>please log in</html>');
    else if (this.mode === 'garbage') response.writeHead(200).end(Buffer.from([0xff, 0xfe, 0x00, 0x7b]));
    else if (this.mode === 'huge') response.writeHead(200).end(Buffer.alloc(5 * 1024 * 1024, 0x20));
    else this.answer(new URL(request.url ?? '/', 'http://x').pathname, response);
  }

  private answer(path: string, response: ServerResponse): void {
    const [body, header, chain] = this.document(path);
    const bytes = Buffer.from(body);
    const headers = header === '' ? {} : { [header]: encodeURIComponent(chain) };
    response.writeHead(200, { 'content-length': bytes.length, ...headers });
    if (this.mode !== 'truncated') {
      response.end(bytes);
      return;
    }
    response.write(bytes.subarray(0, bytes.length - 5), () => response.socket?.destroy());
  }

  private document(path: string): readonly [string | Uint8Array, string, string] {
    const c = this.collateral;
    const crl = (hex: string): string | Uint8Array => (this.crlAsHex ? hex : (fromHex(hex) ?? ''));
    if (path.endsWith('/tcb')) {
      const text =
        this.mode === 'forged' ? c.tcb_info.replace('OutOfDate', 'UpToDate ').replace('19', '18') : c.tcb_info;
      return [
        `{"tcbInfo":${text},"signature":"${c.tcb_info_signature}"}`,
        'TCB-Info-Issuer-Chain',
        c.tcb_info_issuer_chain,
      ];
    }
    if (path.endsWith('/qe/identity')) {
      const body = `{"enclaveIdentity":${c.qe_identity},"signature":"${c.qe_identity_signature}"}`;
      return [body, 'SGX-Enclave-Identity-Issuer-Chain', c.qe_identity_issuer_chain];
    }
    if (path.endsWith('/pckcrl')) return [crl(c.pck_crl), 'SGX-PCK-CRL-Issuer-Chain', c.pck_crl_issuer_chain];
    return [crl(c.root_ca_crl), '', ''];
  }
}

export interface TlsShape {
  /** Common name of the certificate; the server is reached as `localhost`. */
  readonly name: string;
  readonly notAfter?: Date;
}

function tlsMaterial({ name, notAfter }: TlsShape): { key: string; cert: string; rootPem: string } {
  const root = newIdentity('Test TLS Root', 1);
  const leaf = newIdentity(name, 2);
  const rootPem = toPem(certify(root, root, { isCa: true }));
  const cert = toPem(certify(leaf, root, { isCa: false, ...(notAfter === undefined ? {} : { notAfter }) }));
  return { key: leaf.key.export({ format: 'pem', type: 'pkcs8' }) as string, cert, rootPem };
}
