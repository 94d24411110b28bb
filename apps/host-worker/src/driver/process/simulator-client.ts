import { request } from 'node:http';
import { DriverError } from '../driver-error.js';

const TIMEOUT_MS = 10_000;
const MAX_ANSWER_BYTES = 64 * 1024;

export interface TrustDomain {
  readonly socketPath: string;
  readonly vmConfig: string;
  /** 48 bytes, hex. */
  readonly mrConfigId: string;
  readonly launchId: string;
}

/** The quote simulator's admin interface: HTTP over a unix socket. Throws DriverError. */
export class SimulatorClient {
  constructor(private readonly adminSocket: string) {}

  /** Makes the trust domain of an instance, or leaves it as it is when it is already that one. */
  async put(instanceId: string, domain: TrustDomain): Promise<void> {
    await this.#ask('PUT', instanceId, domain);
  }

  async remove(instanceId: string): Promise<void> {
    await this.#ask('DELETE', instanceId);
  }

  async #ask(method: 'PUT' | 'DELETE', instanceId: string, body?: TrustDomain): Promise<void> {
    const { status, text } = await this.#exchange(method, `/tds/${instanceId}`, body);
    if (status >= 200 && status < 300) return;
    const retryable = status >= 500;
    const code = retryable ? 'simulator-unavailable' : 'simulator-refused';
    throw new DriverError(code, `the quote simulator answered ${status}: ${text.slice(0, 300)}`, retryable);
  }

  #exchange(method: string, path: string, body: unknown): Promise<{ status: number; text: string }> {
    const payload = body === undefined ? '' : JSON.stringify(body);
    return new Promise((resolve, reject) => {
      const call = request(
        {
          socketPath: this.adminSocket,
          method,
          path,
          agent: false,
          headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) },
          signal: AbortSignal.timeout(TIMEOUT_MS),
        },
        (answer) => {
          let text = '';
          answer.setEncoding('utf8');
          answer.on('data', (chunk: string) => {
            text += chunk;
            if (text.length > MAX_ANSWER_BYTES) call.destroy(new Error('the answer is too large'));
          });
          answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text }));
          answer.on('error', reject);
        },
      );
      call.on('error', (cause: NodeJS.ErrnoException) => {
        const detail = cause.code ?? cause.message;
        const where = `SIMULATOR_ADMIN_SOCKET ${this.adminSocket}`;
        reject(new DriverError('simulator-unavailable', `${where} does not answer (${detail})`, true, { cause }));
      });
      call.end(payload);
    });
  }
}
