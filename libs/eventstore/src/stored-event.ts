import { type KeyDirectory, readEvent, verifyAuthor } from '@vouch/domain';
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
  const { seq, subject, storedAt } = message;
  return { seq, subject, storedAt, envelope: event.envelope, bytes: event.bytes } as StoredEvent;
}
