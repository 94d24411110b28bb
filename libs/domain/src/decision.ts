import type { EventData, EventType } from './event-catalog.js';

/** What a decider adds to the log: the type and data of an event, before an author wraps and signs it. */
export type DomainEvent<T extends EventType = EventType> = T extends EventType
  ? { readonly type: T; readonly data: EventData<T> }
  : never;

/** One wrong field of a request: a dotted path such as `appCompose.docker_compose_file`, and what to do about it. */
export interface FieldError {
  readonly field: string;
  readonly message: string;
}

/** An expected no: a value, never an exception. `code` is stable; `message` is for people. */
export interface Refusal {
  readonly code: string;
  readonly field?: string;
  readonly message: string;
  /** Every wrong field when there is more than one to name. */
  readonly errors?: readonly FieldError[];
}

export type Refused = { readonly ok: false; readonly refusal: Refusal };

/** No events with `ok: true` means that the asked-for state already holds. */
export type Decision<E extends DomainEvent = DomainEvent> =
  | { readonly ok: true; readonly events: readonly E[] }
  | Refused;

export function accept<E extends DomainEvent>(...events: E[]): { readonly ok: true; readonly events: readonly E[] } {
  return { ok: true, events };
}

export function refuse(code: string, message: string, field?: string): Refused {
  return { ok: false, refusal: field === undefined ? { code, message } : { code, field, message } };
}

export function refuseFields(code: string, message: string, errors: readonly FieldError[]): Refused {
  const [first] = errors;
  return { ok: false, refusal: { code, message, errors, ...(first === undefined ? {} : { field: first.field }) } };
}
