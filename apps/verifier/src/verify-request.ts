import {
  type AttestationEvidence,
  type Check,
  CollateralUnavailableError,
  type ExamineOptions,
  examineEvidence,
  readJsonEvidence,
} from '@vouch/attestation';
import { responseTo, unreadable, type VerifyResponse, withoutCollateral } from './report/verify-response.js';

/** Everything an examination needs but the evidence. */
export type Examining = Omit<ExamineOptions, 'now'> & { readonly now: () => Date };

/**
 * Answers one `POST /verify` body: dstack-verifier's request, all fields optional (`quote` hex, `event_log` text,
 * `vm_config` text, `attestation` hex, `debug`); `attestation` wins over the rest. A body that cannot be read is an answer
 * too (`is_valid: false`).
 */
export async function verifyRequest(body: Uint8Array, examining: Examining): Promise<VerifyResponse> {
  const request = readRequest(body);
  if (!('evidence' in request)) return request;
  const { evidence, checks, debug } = request;
  try {
    const examination = await examineEvidence(evidence, { ...examining, now: examining.now() });
    const response = responseTo(examination, debug);
    return { ...response, checks: [...checks, ...response.checks] };
  } catch (error) {
    if (error instanceof CollateralUnavailableError) return withoutCollateral(error, checks);
    throw error;
  }
}

interface ReadRequest {
  readonly evidence: AttestationEvidence;
  readonly checks: readonly Check[];
  readonly debug: boolean;
}

function readRequest(body: Uint8Array): VerifyResponse | ReadRequest {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch {
    return unreadable('REQUEST_FORMAT', 'the body is not UTF-8 JSON');
  }
  const read = readJsonEvidence(text);
  if (!read.ok) return unreadable(read.code, read.failed.detail, read.checks);
  const { debug } = JSON.parse(text) as { debug?: unknown };
  if (debug !== undefined && debug !== null && typeof debug !== 'boolean') {
    return unreadable('REQUEST_FORMAT', 'debug is not a boolean');
  }
  return { evidence: read.value, checks: read.checks, debug: debug === true };
}
