import { type AuthoredEvent, type KeyDirectory, readEvent, verifyAuthor, verifyAuthorAsync } from '@vouch/domain';
import type { StoredEvent } from './event-store.js';

/** A message of the log before anything about it was checked. */
export interface RawStoredMessage {
  readonly seq: number;
  readonly subject: string;
  readonly storedAt: Date;
  readonly bytes: Uint8Array;
}

/** Parses a stored message and verifies its author. Throws EventRejectedError: the reader must stop there. */
export function openStored(message: RawStoredMessage, directory: KeyDirectory): StoredEvent {
  const event = readEvent(message.bytes, message.subject);
  verifyAuthor(event, directory);
  return storedEvent(message, event);
}

/** {@link openStored} with the signature checked on another thread. */
export async function openStoredAsync(message: RawStoredMessage, directory: KeyDirectory): Promise<StoredEvent> {
  const event = readEvent(message.bytes, message.subject);
  await verifyAuthorAsync(event, directory);
  return storedEvent(message, event);
}

function storedEvent(message: RawStoredMessage, event: AuthoredEvent): StoredEvent {
  const { seq, subject, storedAt } = message;
  return { seq, subject, storedAt, envelope: event.envelope, bytes: event.bytes } as StoredEvent;
}
