import type { KeyObject } from 'node:crypto';
import type { KeyDirectory } from './key-directory.js';

/** An event as this file needs it: the object it is known by, and its bytes. */
interface Event {
  readonly envelope: object;
  readonly bytes: Uint8Array;
}

interface Authored {
  /** A copy of the bytes as they were signed: the event's own could be written to. */
  readonly bytes: Uint8Array;
  readonly privateKey: KeyObject;
  readonly keyid: string;
}

/** Events that this very process authored. Kept by object: a copy with other bytes is another, unknown event. */
const authored = new WeakMap<object, Authored>();
/** Key pairs whose signature a directory has accepted once: private key -> key id it signed under. */
const proven = new WeakMap<KeyDirectory, WeakMap<KeyObject, string>>();

/** Remembers an event that was just built, checked and signed here, and freezes it. */
export function rememberAuthored(event: Event, author: Omit<Authored, 'bytes'>): void {
  Object.freeze(event.envelope);
  Object.freeze(event);
  const { privateKey, keyid } = author;
  authored.set(event, { bytes: new Uint8Array(event.bytes), privateKey, keyid });
}

/**
 * Whether this process made exactly these bytes, so that their form and schema were checked when they were made, and
 * whether the key that signed them is already {@link proveKey proven} to belong to its key id. Both questions again
 * would cost more than the append itself.
 */
export function wasAuthoredHere(event: Event, directory: KeyDirectory): boolean {
  const record = authored.get(event);
  if (record === undefined || Buffer.compare(record.bytes, event.bytes) !== 0) return false;
  return proven.get(directory)?.get(record.privateKey) === record.keyid;
}

/** Notes that a signature of the event's private key verified under its key id in this directory. */
export function proveKey(event: Event, directory: KeyDirectory): void {
  const record = authored.get(event);
  if (record === undefined) return;
  const keys = proven.get(directory) ?? new WeakMap<KeyObject, string>();
  keys.set(record.privateKey, record.keyid);
  proven.set(directory, keys);
}
