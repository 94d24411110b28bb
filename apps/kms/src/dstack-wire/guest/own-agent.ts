import { request } from 'node:http';
import { PrpcError } from '../prpc/prpc-error.js';

const TIMEOUT_MS = 15_000;
const MAX_ANSWER_BYTES = 4 * 1024 * 1024;

/** Where the KMS has itself attested: the dstack guest agent of the CVM it runs in. */
export interface OwnAgent {
  /** VersionedAttestation bytes over 64 bytes of report data. Throws PrpcError when the agent cannot. */
  attest(reportData: Uint8Array): Promise<Uint8Array>;
}

/** `Attest` on the guest agent's unix socket (dstack-guest, JSON). */
export class SocketAgent implements OwnAgent {
  constructor(private readonly socketPath: string) {}

  async attest(reportData: Uint8Array): Promise<Uint8Array> {
    const body = JSON.stringify({ report_data: Buffer.from(reportData).toString('hex') });
    try {
      const { attestation } = JSON.parse(await this.#post('/Attest?json', body)) as { attestation?: unknown };
      if (typeof attestation !== 'string' || !/^([0-9a-f]{2})+$/i.test(attestation)) {
        throw new Error('its answer has no attestation');
      }
      return new Uint8Array(Buffer.from(attestation, 'hex'));
    } catch (cause) {
      throw new PrpcError(`the guest agent cannot attest this KMS: ${(cause as Error).message}`, true, { cause });
    }
  }

  #post(path: string, body: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
      const options = { socketPath: this.socketPath, method: 'POST', path, headers };
      const call = request({ ...options, signal: AbortSignal.timeout(TIMEOUT_MS) }, (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on('data', (chunk: Buffer) => {
          size += chunk.length;
          if (size > MAX_ANSWER_BYTES) call.destroy(new Error('its answer is too large'));
          else chunks.push(chunk);
        });
        response.on('error', reject);
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString('utf8');
          if (response.statusCode === 200) resolve(text);
          else reject(new Error(`HTTP ${response.statusCode}`));
        });
      });
      call.on('error', reject);
      call.end(body);
    });
  }
}
