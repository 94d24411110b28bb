import { type KeyObject, sign, verify } from 'node:crypto';
import { z } from 'zod';
import { proveKey, rememberAuthored, wasAuthoredHere } from './authored-here.js';
import { canonicalBytes } from './canonical-json.js';
import { type EventData, type EventType, eventCatalog, isEventType, type Service } from './event-catalog.js';
import type { KeyDirectory, KeyDirectoryEntry } from './key-directory.js';

/**
 * The envelope of every event: CloudEvents 1.0, structured JSON mode, canonical form (RFC 8785) produced once by its
 * author. The stored bytes are what is signed and hashed; nobody serialises them again. Extensions: `actor` (who asked),
 * `cause` (id of the event or command this one follows from), `corr` (operation id), `schemav` (version of `data`),
 * `keyid` and `sig` (Ed25519 by the author, base64url, 64 bytes).
 */
const envelopeSchema = z.strictObject({
  specversion: z.literal('1.0'),
  id: z.uuid(),
  source: z.string().regex(/^vouch\/[a-z-]+(\/[a-z0-9-]+)?$/),
  type: z.string().max(64),
  subject: z.string().max(200),
  time: z.iso.datetime({ precision: 3 }),
  datacontenttype: z.literal('application/json'),
  actor: z.string().min(1).max(128),
  cause: z.string().max(64),
  corr: z.string().max(64),
  schemav: z.number().int().positive(),
  keyid: z.string().regex(/^ed25519:[0-9a-f]{32}$/),
  sig: z.string().regex(/^[A-Za-z0-9_-]{86}$/),
  data: z.record(z.string(), z.unknown()),
});

export type EventEnvelope<T extends EventType = EventType> = T extends EventType
  ? Omit<z.infer<typeof envelopeSchema>, 'type' | 'data'> & { readonly type: T; readonly data: EventData<T> }
  : never;

/** One event as it lies in the log: the parsed envelope and the exact stored bytes. */
export type AuthoredEvent<T extends EventType = EventType> = T extends EventType
  ? { readonly envelope: EventEnvelope<T>; readonly bytes: Uint8Array }
  : never;

/** Why an event cannot be taken. `code` is stable; `retryable` is always false: the bytes will not change. */
export class EventRejectedError extends Error {
  readonly retryable = false;
  constructor(
    readonly code:
      | 'event-malformed'
      | 'event-not-canonical'
      | 'event-type-unknown'
      | 'event-schema-violation'
      | 'event-signature-invalid'
      | 'event-author-unknown'
      | 'event-author-not-allowed'
      | 'event-subject-mismatch'
      | 'event-too-large',
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'EventRejectedError';
  }
}

/** Largest event the stream takes, in bytes (eventing: max_msg_size of EVENTS). */
export const MAX_EVENT_BYTES = 256 * 1024;

/** Separates event signatures from any other use of the same key. */
const SIGNATURE_CONTEXT = new TextEncoder().encode('vouch-event-v1\n');

/** Who signs: the Ed25519 private key, its key id, and the service (with its host or node) that owns it. */
export interface EventAuthor {
  readonly service: Service;
  /** Host id of a host-worker, node id of a gateway; empty for the others. */
  readonly node: string;
  readonly keyid: string;
  readonly privateKey: KeyObject;
}

export interface NewEvent<T extends EventType> {
  readonly id: string;
  readonly type: T;
  readonly data: EventData<T>;
  readonly time: Date;
  readonly actor: string;
  /** Event or command id this follows from; empty when an operator's request is the first cause. */
  readonly cause: string;
  /** Operation id; empty outside an operation. */
  readonly corr: string;
}

/**
 * Builds, checks and signs an event. Throws EventRejectedError for data that breaks the type's schema or size and for an
 * id, actor, cause or corr that no envelope may carry. The result is frozen.
 */
export function authorEvent<T extends EventType>(author: EventAuthor, event: NewEvent<T>): AuthoredEvent<T> {
  const definition = eventCatalog[event.type];
  if (definition.writer !== author.service) {
    throw new EventRejectedError('event-author-not-allowed', `${author.service} may not write ${event.type}`);
  }
  const parsed = definition.data.safeParse(event.data);
  if (!parsed.success) {
    throw new EventRejectedError('event-schema-violation', `${event.type}: ${z.prettifyError(parsed.error)}`);
  }
  const unsigned = {
    specversion: '1.0' as const,
    id: event.id,
    source: author.node === '' ? `vouch/${author.service}` : `vouch/${author.service}/${author.node}`,
    type: event.type,
    subject: subjectOf(event.type, event.data),
    time: event.time.toISOString(),
    datacontenttype: 'application/json' as const,
    actor: event.actor,
    cause: event.cause,
    corr: event.corr,
    schemav: definition.version,
    keyid: author.keyid,
    data: event.data,
  };
  const canonical = canonicalBytes(unsigned);
  const sig = sign(null, signedBytes(canonical), author.privateKey).toString('base64url');
  const envelope = envelopeSchema.safeParse({ ...unsigned, sig });
  if (!envelope.success) {
    throw new EventRejectedError('event-malformed', `${event.type}: ${z.prettifyError(envelope.error)}`);
  }
  const bytes = withSignature(canonical, sig);
  if (bytes.length > MAX_EVENT_BYTES) {
    throw new EventRejectedError(
      'event-too-large',
      `${event.type} is ${bytes.length} bytes; the limit is ${MAX_EVENT_BYTES}`,
    );
  }
  const authored = { envelope: { ...unsigned, sig } as unknown as EventEnvelope<T>, bytes } as AuthoredEvent<T>;
  rememberAuthored(authored, author);
  return authored;
}

/** NATS subject of an event, from its own data: `evt.<kind>.<ids...>`. */
export function subjectOf<T extends EventType>(type: T, data: EventData<T>): string {
  const definition = eventCatalog[type];
  const ids = (definition.subject as (data: EventData<T>) => readonly string[])(data);
  return ['evt', definition.kind, ...ids].join('.');
}

/**
 * Parses stored bytes: JSON, canonical form, known type, schema. Does not check the signature: see
 * {@link verifyAuthor}. `streamSubject` is the subject the bytes were stored under; it must equal the one the data name.
 */
export function readEvent(bytes: Uint8Array, streamSubject: string): AuthoredEvent {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new EventRejectedError('event-malformed', `${streamSubject}: not UTF-8 JSON`, { cause });
  }
  const envelope = envelopeSchema.safeParse(json);
  if (!envelope.success) {
    throw new EventRejectedError('event-malformed', `${streamSubject}: ${z.prettifyError(envelope.error)}`);
  }
  const { type, subject, data, schemav } = envelope.data;
  if (Buffer.compare(canonicalBytes(json), bytes) !== 0) {
    throw new EventRejectedError('event-not-canonical', `${streamSubject}: bytes are not RFC 8785 canonical JSON`);
  }
  if (!isEventType(type)) throw new EventRejectedError('event-type-unknown', `${streamSubject}: unknown type ${type}`);
  const definition = eventCatalog[type];
  if (schemav !== definition.version) {
    throw new EventRejectedError(
      'event-type-unknown',
      `${streamSubject}: ${type} has unknown schema version ${schemav}`,
    );
  }
  const parsed = definition.data.safeParse(data);
  if (!parsed.success) {
    throw new EventRejectedError('event-schema-violation', `${type}: ${z.prettifyError(parsed.error)}`);
  }
  if (subject !== streamSubject || subjectOf(type, parsed.data as EventData<typeof type>) !== streamSubject) {
    throw new EventRejectedError(
      'event-subject-mismatch',
      `${type} names ${subject} but is stored under ${streamSubject}`,
    );
  }
  return { envelope: envelope.data as unknown as EventEnvelope, bytes } as AuthoredEvent;
}

/**
 * Checks that the event was signed by a key the directory knows, that this key's service is the one writer of the type,
 * and that a host-worker or gateway writes only under its own node. Throws EventRejectedError.
 */
export function verifyAuthor(event: AuthoredEvent, directory: KeyDirectory): void {
  const { publicKey } = allowedAuthor(event, directory);
  const { bytes } = event;
  const { id, type, sig } = event.envelope;
  if (!verify(null, signedBytes(withoutSignature(bytes, sig)), publicKey, Buffer.from(sig, 'base64url'))) {
    throw new EventRejectedError('event-signature-invalid', `${type} ${id}: signature does not verify`);
  }
}

/** {@link verifyAuthor} with the signature checked on another thread: for readers that have many events before them. */
export function verifyAuthorAsync(event: AuthoredEvent, directory: KeyDirectory): Promise<void> {
  const { publicKey } = allowedAuthor(event, directory);
  const { id, type, sig } = event.envelope;
  const signed = signedBytes(withoutSignature(event.bytes, sig));
  return new Promise((resolve, reject) => {
    verify(null, signed, publicKey, Buffer.from(sig, 'base64url'), (error, isValid) => {
      if (error === null && isValid) resolve();
      else reject(new EventRejectedError('event-signature-invalid', `${type} ${id}: signature does not verify`));
    });
  });
}

/**
 * Everything {@link readEvent} and {@link verifyAuthor} check, before an event is stored. For an event this very process
 * authored, what {@link authorEvent} did to these bytes is not done again once one signature of the same key has
 * verified; that the author may write this event is looked up every time.
 */
export function verifyBeforeAppend(event: AuthoredEvent, directory: KeyDirectory): void {
  if (wasAuthoredHere(event, directory)) {
    allowedAuthor(event, directory);
    return;
  }
  verifyAuthor(readEvent(event.bytes, event.envelope.subject), directory);
  proveKey(event, directory);
}

/** The directory's entry of the event's key, when its service and node may write this event. */
function allowedAuthor({ envelope }: AuthoredEvent, directory: KeyDirectory): KeyDirectoryEntry {
  const entry = directory.find(envelope.keyid);
  if (entry === undefined)
    throw new EventRejectedError('event-author-unknown', `${envelope.type}: no key ${envelope.keyid}`);
  const definition = eventCatalog[envelope.type];
  if (entry.service !== definition.writer) {
    throw new EventRejectedError('event-author-not-allowed', `${entry.service} may not write ${envelope.type}`);
  }
  const source = entry.node === '' ? `vouch/${entry.service}` : `vouch/${entry.service}/${entry.node}`;
  if (envelope.source !== source) {
    throw new EventRejectedError(
      'event-author-not-allowed',
      `key of ${source} signed an event from ${envelope.source}`,
    );
  }
  if (definition.perNode && envelope.subject.split('.')[2] !== entry.node) {
    throw new EventRejectedError('event-author-not-allowed', `${source} may not write under ${envelope.subject}`);
  }
  return entry;
}

/** The member that follows `sig` in canonical form. A quote inside a text is escaped: these bytes are a member's name. */
const AFTER_SIGNATURE = Buffer.from('"source":"');

/** The canonical bytes with their `sig` member: between `schemav` and `source`, whose last occurrence is the envelope's. */
function withSignature(canonical: Uint8Array, sig: string): Uint8Array {
  const whole = Buffer.from(canonical.buffer, canonical.byteOffset, canonical.byteLength);
  const at = whole.lastIndexOf(AFTER_SIGNATURE);
  const member = Buffer.from(`"sig":"${sig}",`);
  const bytes = new Uint8Array(whole.length + member.length);
  bytes.set(whole.subarray(0, at));
  bytes.set(member, at);
  bytes.set(whole.subarray(at), at + member.length);
  return bytes;
}

/**
 * The canonical bytes without their `sig` member. In canonical form `sig` is never first nor last, so cutting
 * `"sig":"...",` out leaves exactly what {@link authorEvent} signed. A second occurrence would be ambiguous: refused.
 */
function withoutSignature(bytes: Uint8Array, sig: string): Uint8Array {
  const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const member = Buffer.from(`"sig":"${sig}",`);
  const at = whole.indexOf(member);
  if (at < 0 || whole.indexOf(member, at + 1) >= 0) {
    throw new EventRejectedError('event-malformed', 'the signature member is missing or ambiguous');
  }
  return Buffer.concat([whole.subarray(0, at), whole.subarray(at + member.length)]);
}

function signedBytes(canonical: Uint8Array): Uint8Array {
  return Buffer.concat([SIGNATURE_CONTEXT, canonical]);
}
