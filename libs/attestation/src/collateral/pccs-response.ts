import { CollateralUnavailableError } from './collateral-unavailable-error.js';

/** Body and headers of one PCCS answer. */
export interface PccsResponse {
  readonly body: Uint8Array;
  readonly headers: Headers;
}

const BODY_MAX_BYTES = 4 * 1024 * 1024;
const RETRYABLE_STATUS: ReadonlySet<number> = new Set([408, 425, 429]);

/**
 * One GET: no redirects, bounded in time and size.
 * @throws CollateralUnavailableError retryable for network errors, time-outs and server errors, not for refusals (4xx)
 */
export async function fetchPccs(url: URL, timeoutMs: number, fetch: typeof globalThis.fetch): Promise<PccsResponse> {
  try {
    const response = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(timeoutMs) });
    if (response.status !== 200) {
      await response.body?.cancel();
      const retryable = response.status >= 500 || RETRYABLE_STATUS.has(response.status);
      throw new CollateralUnavailableError(`${url.pathname}${url.search} answered ${response.status}`, retryable);
    }
    return { body: await readBody(response, url), headers: response.headers };
  } catch (error) {
    if (error instanceof CollateralUnavailableError) throw error;
    throw new CollateralUnavailableError(`${url.origin}${url.pathname} cannot be reached`, true, { cause: error });
  }
}

async function readBody(response: Response, url: URL): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of response.body ?? []) {
    sizeBytes += chunk.length;
    if (sizeBytes > BODY_MAX_BYTES) {
      throw new CollateralUnavailableError(`${url.pathname} answered more than ${BODY_MAX_BYTES} bytes`, false);
    }
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks));
}
