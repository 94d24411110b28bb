import { saysRetryable } from '@vouch/platform';
import { decodeJson, encodeJson } from './json-codec.js';
import { PrpcErrorMessage } from './kms-messages.js';
import type { MessageType, MessageValue } from './message-type.js';
import { decodeProtobuf, encodeProtobuf } from './protobuf-codec.js';
import { PrpcError } from './prpc-error.js';
import { findMethod, type Method, type PrpcService } from './prpc-service.js';

/** Largest request body, in bytes. */
export const MAX_BODY_BYTES = 10 * 1024 * 1024;

/** One HTTP request below `/prpc/`, as the transport has it. */
export interface PrpcRequest<Caller> {
  /** What follows `/prpc/`, decoded. */
  readonly path: string;
  readonly verb: 'GET' | 'POST';
  /** Without the question mark, as sent. */
  readonly query: string;
  readonly contentType: string | undefined;
  /** Reads the body. Throws PrpcError when it is larger than {@link MAX_BODY_BYTES}. */
  body(): Promise<Uint8Array>;
  /** Who calls; called before anything is dispatched. Throws PrpcError for a caller whose evidence is bad. */
  caller(methodName: string | undefined): Promise<Caller>;
}

export interface PrpcResponse {
  readonly status: 200 | 400;
  readonly contentType: 'application/json' | 'application/octet-stream';
  readonly body: Uint8Array;
  /** Name of the method, when there is one of that name. */
  readonly method: string | undefined;
}

/** What became of errors that are no answers: logged by the caller, and nothing of them told to the client. */
export type UnexpectedError = (error: unknown, method: string | undefined) => void;

/**
 * One exchange of prpc (dstack-kms §2): caller first, then the body, then the method; JSON for GET, `?json` or a JSON content
 * type, else protobuf. An error before dispatch goes by GET and `?json` alone, as dstack's does.
 */
export async function exchange<Caller>(
  service: PrpcService<Caller>,
  request: PrpcRequest<Caller>,
  onUnexpected: UnexpectedError,
): Promise<PrpcResponse> {
  const found = findMethod(service, request.path);
  let isJson = request.verb === 'GET' || asksForJson(request.query);
  try {
    const caller = await request.caller(found?.name);
    const payload = request.verb === 'GET' ? queryPayload(request.query) : await request.body();
    isJson ||= isJsonType(request.contentType);
    if (found === undefined) throw new PrpcError(`Service not found: ${request.path.slice(0, 64)}`);
    const body = await run(found.method, caller, payload, isJson);
    return { status: 200, contentType: typeOf(isJson), body, method: found.name };
  } catch (error) {
    if (!(error instanceof PrpcError)) onUnexpected(error, found?.name);
    const message = textOf(error);
    return { status: 400, contentType: typeOf(isJson), body: errorBody(message, isJson), method: found?.name };
  }
}

/** What a client may know of an error. */
function textOf(error: unknown): string {
  if (error instanceof PrpcError) return error.message;
  if (saysRetryable(error) === true) return 'this cannot be decided or proven now: nothing was released, try again';
  return 'internal error: nothing was released';
}

async function run<Caller>(
  { input, output, call }: Method<Caller>,
  caller: Caller,
  payload: Uint8Array,
  isJson: boolean,
): Promise<Uint8Array> {
  const { value, secrets = [] } = await call(decoded(input, payload, isJson), caller);
  try {
    return isJson ? Buffer.from(encodeJson(output, value)) : encodeProtobuf(output, value);
  } finally {
    for (const secret of secrets) secret.fill(0);
  }
}

function decoded(type: MessageType, payload: Uint8Array, isJson: boolean): MessageValue<MessageType> {
  if (!isJson) return decodeProtobuf(type, payload);
  return decodeJson(type, Buffer.from(payload).toString('utf8'));
}

function errorBody(message: string, isJson: boolean): Uint8Array {
  return isJson ? Buffer.from(JSON.stringify({ error: message })) : encodeProtobuf(PrpcErrorMessage, { message });
}

/** The whole query string is the JSON payload; clients that escape it mean the same. */
function queryPayload(query: string): Uint8Array {
  try {
    return Buffer.from(decodeURIComponent(query));
  } catch {
    throw new PrpcError('the query string is not valid percent-encoding');
  }
}

/** `json`, `json=`, `json=1`, `json=true`. */
function asksForJson(query: string): boolean {
  return query.split('&').some((field) => /^json(=(true|1)?)?$/.test(field));
}

function isJsonType(contentType: string | undefined): boolean {
  const type = contentType?.split(';')[0]?.trim().toLowerCase();
  return type === 'application/json';
}

function typeOf(isJson: boolean): PrpcResponse['contentType'] {
  return isJson ? 'application/json' : 'application/octet-stream';
}
