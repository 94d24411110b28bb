import type { EventData } from '@vouch/domain';

/** What an epoch's keys are good for; see {@link decideKeyEpoch} for the ways between. */
type KeyEpochStatus = 'prepared' | 'active' | 'superseded' | 'tainted' | 'revoked';

export interface KeyEpochEntry {
  readonly keyEpoch: number;
  readonly status: KeyEpochStatus;
  /** Stream sequence of the event that tainted or revoked it: later grants of it count for nothing. Null otherwise. */
  readonly endedSeq: number | null;
  readonly reason: string;
}

/** Every key epoch of one KMS, ascending, as its log tells. Epoch 0 is active from the start. */
export type KeyEpochs = readonly KeyEpochEntry[];

export const initialKeyEpochs: KeyEpochs = [{ keyEpoch: 0, status: 'active', endedSeq: null, reason: '' }];

export const KEY_EPOCH_EVENTS = [
  'kms.key-epoch-prepared',
  'kms.key-epoch-activated',
  'kms.key-epoch-tainted',
  'kms.key-epoch-revoked',
] as const;
export type KeyEpochEventType = (typeof KEY_EPOCH_EVENTS)[number];

/** An event of the epochs with its place in the log. */
export interface KeyEpochEvent {
  readonly seq: number;
  readonly type: KeyEpochEventType;
  readonly data: EventData<KeyEpochEventType>;
}

export type KeyEpochCommand =
  | { readonly type: 'PrepareKeyEpoch' }
  | { readonly type: 'ActivateKeyEpoch'; readonly keyEpoch: number }
  | { readonly type: 'TaintKeyEpoch'; readonly keyEpoch: number; readonly reason: string }
  | { readonly type: 'RevokeKeyEpoch'; readonly keyEpoch: number; readonly reason: string };

export type KeyEpochDecision =
  | { readonly ok: true; readonly type: KeyEpochEventType; readonly keyEpoch: number }
  | { readonly ok: true; readonly type: null; readonly keyEpoch: number }
  | { readonly ok: false; readonly code: string; readonly reason: string };

/** The epoch whose keys new grants carry; undefined when it was tainted and no other is active yet. */
export function activeKeyEpoch(epochs: KeyEpochs): number | undefined {
  return epochs.find(({ status }) => status === 'active')?.keyEpoch;
}

export function keyEpochEntry(epochs: KeyEpochs, keyEpoch: number): KeyEpochEntry | undefined {
  return epochs.find((entry) => entry.keyEpoch === keyEpoch);
}

/** Folds one event. */
export function evolveKeyEpochs(epochs: KeyEpochs, { seq, type, data }: KeyEpochEvent): KeyEpochs {
  const { keyEpoch } = data;
  const reason = 'reason' in data ? data.reason : '';
  const change = (entry: Partial<KeyEpochEntry>): KeyEpochs =>
    epochs.map((old) => (old.keyEpoch === keyEpoch ? { ...old, ...entry } : old));
  switch (type) {
    case 'kms.key-epoch-prepared':
      return [...epochs, { keyEpoch, status: 'prepared', endedSeq: null, reason: '' }];
    case 'kms.key-epoch-activated':
      return change({ status: 'active' }).map((entry) =>
        entry.status === 'active' && entry.keyEpoch !== keyEpoch ? { ...entry, status: 'superseded' } : entry,
      );
    case 'kms.key-epoch-tainted':
      return change({ status: 'tainted', endedSeq: seq, reason });
    case 'kms.key-epoch-revoked':
      return change({ status: 'revoked', reason, endedSeq: keyEpochEntry(epochs, keyEpoch)?.endedSeq ?? seq });
  }
}

/**
 * prepared -> active -> superseded (by the next activation); any of them -> tainted -> revoked, or straight to revoked
 * unless active. Nothing leads back. Asking for what is so already is no refusal (`type: null`): commands may be repeated
 * after a crash.
 */
export function decideKeyEpoch(command: KeyEpochCommand, epochs: KeyEpochs): KeyEpochDecision {
  if (command.type === 'PrepareKeyEpoch') return decidePrepare(epochs);
  const { keyEpoch } = command;
  const entry = keyEpochEntry(epochs, keyEpoch);
  if (entry === undefined) return refuse('no-such-key-epoch', `there is no key epoch ${keyEpoch}`);
  const { status } = entry;
  if (command.type === 'ActivateKeyEpoch') {
    if (status === 'active') return { ok: true, type: null, keyEpoch };
    if (status === 'prepared') return { ok: true, type: 'kms.key-epoch-activated', keyEpoch };
    return refuse('key-epoch-over', `key epoch ${keyEpoch} is ${status}: prepare a new one`);
  }
  if (command.type === 'TaintKeyEpoch') {
    if (status === 'tainted') return { ok: true, type: null, keyEpoch };
    if (status === 'revoked') return refuse('key-epoch-over', `key epoch ${keyEpoch} is revoked already`);
    return { ok: true, type: 'kms.key-epoch-tainted', keyEpoch };
  }
  if (status === 'revoked') return { ok: true, type: null, keyEpoch };
  if (status === 'active') {
    return refuse('key-epoch-active', `key epoch ${keyEpoch} is active: activate another, or taint it, first`);
  }
  return { ok: true, type: 'kms.key-epoch-revoked', keyEpoch };
}

/** One prepared epoch at a time: preparing again answers the one that waits. */
function decidePrepare(epochs: KeyEpochs): KeyEpochDecision {
  const waiting = epochs.find(({ status }) => status === 'prepared');
  if (waiting !== undefined) return { ok: true, type: null, keyEpoch: waiting.keyEpoch };
  const keyEpoch = Math.max(...epochs.map((entry) => entry.keyEpoch)) + 1;
  return { ok: true, type: 'kms.key-epoch-prepared', keyEpoch };
}

function refuse(code: string, reason: string): KeyEpochDecision {
  return { ok: false, code, reason };
}
