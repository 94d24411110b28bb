import type { FieldError, Refusal } from '@vouch/domain';

/** An error answer as RFC 9457 (problem+json) has it, with a stable `code` and every wrong field. */
export interface ProblemDocument {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: string;
  /** True when the same request may succeed later without a change. */
  readonly retryable: boolean;
  readonly errors: readonly FieldError[];
}

interface ProblemParts {
  readonly status: number;
  readonly code: string;
  readonly detail: string;
  readonly errors?: readonly FieldError[];
  readonly retryable?: boolean;
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

/** Ends a request with a problem document. `headers` go with it (WWW-Authenticate, Retry-After). */
export class ProblemError extends Error {
  readonly status: number;
  readonly code: string;
  readonly errors: readonly FieldError[];
  readonly retryable: boolean;
  readonly headers: Readonly<Record<string, string>>;

  constructor(parts: ProblemParts) {
    super(parts.detail, parts.cause === undefined ? undefined : { cause: parts.cause });
    this.name = 'ProblemError';
    this.status = parts.status;
    this.code = parts.code;
    this.errors = parts.errors ?? [];
    this.retryable = parts.retryable ?? false;
    this.headers = { ...(this.retryable ? { 'retry-after': '1' } : {}), ...parts.headers };
  }

  get document(): ProblemDocument {
    const { status, code, message, retryable, errors } = this;
    const title = TITLES[status] ?? 'Error';
    return { type: `urn:vouch:problem:${code}`, title, status, detail: message, code, retryable, errors };
  }
}

const TITLES: Readonly<Record<number, string>> = {
  400: 'Bad request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not found',
  405: 'Method not allowed',
  409: 'Conflict',
  413: 'Content too large',
  415: 'Unsupported media type',
  422: 'Unprocessable content',
  429: 'Too many requests',
  500: 'Internal error',
  503: 'Service unavailable',
  504: 'Timeout',
};

/** Refusal codes that are not about the request's own content (422). */
const REFUSAL_STATUS: Readonly<Record<string, number>> = {
  'app-unknown': 404,
  'release-unknown': 404,
  'host-unknown': 404,
  'instance-unknown': 404,
  'operation-unknown': 404,
  'app-exists': 409,
  'host-exists': 409,
  'instance-removed': 409,
  'idempotency-key-reused': 409,
  'compose-too-large': 413,
  'release-too-large': 413,
};

/** The answer to a command that a decider refused. */
export function problemOfRefusal(refusal: Refusal): ProblemError {
  const { code, field, message } = refusal;
  const errors = refusal.errors ?? (field === undefined ? [] : [{ field, message }]);
  return new ProblemError({ status: REFUSAL_STATUS[code] ?? 422, code, detail: message, errors });
}
