import type { EventData } from '@vouch/domain';
import type { EventWriter } from '@vouch/platform';
import type { KeyEpochLog } from './key-epoch-log.js';
import { decideKeyEpoch, type KeyEpochCommand, type KeyEpochEventType } from './key-epochs.js';
import { rootStatement } from './public-statement.js';
import type { KmsRoot } from './root-files.js';

/** A command on key epochs that is refused; `code` is stable. */
class KeyEpochRefusedError extends Error {
  readonly retryable = false;
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
    this.name = 'KeyEpochRefusedError';
  }
}

export interface KeyEpochCommandParts {
  readonly epochs: KeyEpochLog;
  readonly writer: EventWriter;
  /** Opens an epoch's root, making it when `create` is said and there is none. */
  readonly rootOf: (keyEpoch: number, how: 'create' | 'open') => Promise<KmsRoot>;
  /** Who asks, for the event: "operator:<login>". */
  readonly actor: string;
}

export interface KeyEpochOutcome {
  readonly keyEpoch: number;
  /** False when it was so already. */
  readonly changed: boolean;
}

/**
 * Carries out one command: the root's file first, then the event. Both can be repeated, so a crash between them is mended
 * by asking again. Throws KeyEpochRefusedError, RootKeysUnavailableError, EventStoreUnavailableError.
 */
export async function changeKeyEpoch(command: KeyEpochCommand, parts: KeyEpochCommandParts): Promise<KeyEpochOutcome> {
  const { epochs: log, writer, rootOf, actor } = parts;
  for (;;) {
    const { epochs, lastSeq } = await log.read();
    const decision = decideKeyEpoch(command, epochs);
    if (!decision.ok) throw new KeyEpochRefusedError(decision.code, decision.reason);
    const { type, keyEpoch } = decision;
    if (type === null) return { keyEpoch, changed: false };
    const data = await dataOf(type, keyEpoch, command, log.kmsId, rootOf);
    const outcome = await writer.write(type, data, { actor, expected: lastSeq });
    if (outcome.ok) return { keyEpoch, changed: true };
  }
}

async function dataOf(
  type: KeyEpochEventType,
  keyEpoch: number,
  command: KeyEpochCommand,
  kmsId: string,
  rootOf: KeyEpochCommandParts['rootOf'],
): Promise<EventData<KeyEpochEventType>> {
  if (type === 'kms.key-epoch-prepared') {
    const { rootCaSpki, k256Pub, eventKey, endorsement } = rootStatement(await rootOf(keyEpoch, 'create'));
    return {
      ...{ kmsId, keyEpoch, rootCaSpki, k256Pub },
      eventKey: Buffer.from(eventKey, 'base64url').toString('hex'),
      endorsement: Buffer.from(endorsement, 'base64url').toString('base64'),
    };
  }
  // Never activate what this folder cannot derive with.
  if (type === 'kms.key-epoch-activated') await rootOf(keyEpoch, 'open');
  return 'reason' in command ? { kmsId, keyEpoch, reason: command.reason } : { kmsId, keyEpoch };
}
