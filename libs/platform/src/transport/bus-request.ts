import { errors, type NatsConnection } from '@nats-io/transport-node';
import { BusRequestError } from './bus-error.js';

/**
 * Asks another service over the bus: JSON there, JSON back. Throws BusRequestError with the other side's code, or
 * `no-responder` (nobody serves the subject now), `request-timeout`, `request-refused` (no permission), `bad-reply`.
 * The reply's shape is the caller's to check.
 */
export async function busRequest(
  connection: NatsConnection,
  subject: string,
  body: unknown,
  options: { readonly timeoutMs: number },
): Promise<unknown> {
  let text: string;
  try {
    const reply = await connection.request(subject, JSON.stringify(body), { timeout: options.timeoutMs });
    text = reply.string();
  } catch (cause) {
    throw describe(subject, cause);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new BusRequestError('bad-reply', `${subject}: the reply is not JSON`, false, { cause });
  }
  const failure = (value as { error?: { code?: unknown; message?: unknown; retryable?: unknown } } | null)?.error;
  if (failure !== undefined) {
    throw new BusRequestError(String(failure.code), String(failure.message), failure.retryable === true);
  }
  return value;
}

function describe(subject: string, cause: unknown): BusRequestError {
  if (cause instanceof errors.PermissionViolationError) {
    return new BusRequestError('request-refused', `${subject}: this user may not ask`, false, { cause });
  }
  const isUnserved =
    cause instanceof errors.NoRespondersError ||
    (cause instanceof errors.RequestError && cause.cause instanceof errors.NoRespondersError);
  if (isUnserved) return new BusRequestError('no-responder', `${subject}: nobody answers now`, true, { cause });
  return new BusRequestError('request-timeout', `${subject}: no answer in time`, true, { cause });
}
