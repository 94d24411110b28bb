import {
  type BootInfo,
  type BootKind,
  bootAuthRequest,
  PolicyUnavailableError,
  readBootAuthResponse,
} from '@vouch/contracts';
import type { PolicyAnchor, PolicyDecision, PolicySource } from './policy-source.js';

export interface WebhookPolicyOptions {
  /** Base of the authorisation server; `/bootAuth/app`, `/bootAuth/kms` are below it. */
  readonly url: string;
  /** For the whole exchange: connection, TLS, headers and body. */
  readonly timeoutMs: number;
  readonly now: () => Date;
}

/** A decision is three short members. */
const BODY_MAX_BYTES = 64 * 1024;

/**
 * Policy of an authorisation server, asked as dstack's key server does (dstack-kms §15), but bounded in time and size and
 * without following redirects. Whatever is not a whole answer with status 2xx is no answer.
 */
export class WebhookPolicy implements PolicySource {
  readonly kind = 'webhook';
  readonly #base: URL;

  constructor(private readonly options: WebhookPolicyOptions) {
    this.#base = new URL(options.url.endsWith('/') ? options.url : `${options.url}/`);
  }

  get description(): string {
    return `authorisation server ${this.#base.origin}${this.#base.pathname}`;
  }

  async read(kind: BootKind, info: BootInfo): Promise<PolicyDecision> {
    const body = JSON.stringify(bootAuthRequest(info));
    const answer = readBootAuthResponse(await this.#exchange(new URL(`bootAuth/${kind}`, this.#base), body));
    if (!answer.ok) throw this.#unavailable(`its answer is no decision: ${answer.reason}`);
    return {
      ...answer.value,
      origin: { source: 'webhook', host: this.#base.host },
      asOf: this.options.now(),
    };
  }

  /** Asks for the server's own description, which every such server has. */
  async reachable(): Promise<PolicyAnchor> {
    await this.#exchange(this.#base);
    return { contract: null, chainId: null };
  }

  close(): void {}

  async #exchange(url: URL, body?: string): Promise<unknown> {
    const { timeoutMs } = this.options;
    const signal = AbortSignal.timeout(timeoutMs);
    try {
      const response = await fetch(url, {
        method: body === undefined ? 'GET' : 'POST',
        redirect: 'manual',
        signal,
        headers: { accept: 'application/json', 'user-agent': 'vouch-kms/0.1.0', ...contentType(body) },
        ...(body === undefined ? {} : { body }),
      });
      if (response.status >= 300 && response.status < 400) {
        await response.body?.cancel();
        throw this.#unavailable(`it redirects (HTTP ${response.status}), which is not followed`);
      }
      if (!response.ok) {
        await response.body?.cancel();
        throw this.#unavailable(`it answered HTTP ${response.status}`);
      }
      return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(await this.#bodyOf(response))) as unknown;
    } catch (cause) {
      if (cause instanceof PolicyUnavailableError) throw cause;
      throw this.#unavailable(reasonOf(cause, signal, timeoutMs), cause);
    }
  }

  async #bodyOf(response: Response): Promise<Uint8Array> {
    const chunks: Uint8Array[] = [];
    let sizeBytes = 0;
    // Leaving the loop early cancels the body, and with it the connection.
    for await (const chunk of response.body ?? []) {
      sizeBytes += chunk.length;
      if (sizeBytes > BODY_MAX_BYTES) throw this.#unavailable(`it answered more than ${BODY_MAX_BYTES} bytes`);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  }

  #unavailable(reason: string, cause?: unknown): PolicyUnavailableError {
    return new PolicyUnavailableError(`${this.description}: ${reason}`, cause === undefined ? {} : { cause });
  }
}

function contentType(body: string | undefined): Record<string, string> {
  return body === undefined ? {} : { 'content-type': 'application/json' };
}

function reasonOf(error: unknown, signal: AbortSignal, timeoutMs: number): string {
  if (signal.aborted) return `it did not answer within ${timeoutMs} ms`;
  if (error instanceof SyntaxError || (error instanceof TypeError && 'code' in error)) return 'its answer is not JSON';
  const { cause } = error as { cause?: { code?: unknown; message?: unknown } };
  return `it cannot be reached: ${String(cause?.code ?? cause?.message ?? (error as Error).message)}`;
}
