import type { EventData } from '@vouch/domain';
import type { EventStore } from '@vouch/eventstore';
import type { EventWriter } from '@vouch/platform';
import { rootStatement } from './public-statement.js';
import type { KmsRoot } from './root-files.js';

export interface Announcement {
  readonly kmsId: string;
  /** Null when policy is not kept in a contract. */
  readonly contract: string | null;
  readonly chainId: number | null;
  readonly policySource: EventData<'kms.bootstrapped'>['policySource'];
  readonly unsafe: readonly string[];
}

/**
 * Puts `kms.bootstrapped` into the log when it is not there yet, or when what the last one says (root, policy, weakenings) no longer holds. Two starts at once settle it by the expected position.
 */
export async function announceRoot(
  root: KmsRoot,
  announcement: Announcement,
  store: EventStore,
  writer: EventWriter,
): Promise<'announced' | 'unchanged'> {
  const { kmsId, contract, chainId, policySource, unsafe } = announcement;
  const { rootCaSpki, k256Pub, eventKey, endorsement } = rootStatement(root);
  const data: EventData<'kms.bootstrapped'> = {
    kmsId,
    keyEpoch: root.keyEpoch,
    rootCaSpki,
    k256Pub,
    eventKey: Buffer.from(eventKey, 'base64url').toString('hex'),
    endorsement: Buffer.from(endorsement, 'base64url').toString('base64'),
    contract,
    chainId,
    ...(policySource === undefined ? {} : { policySource }),
    unsafe: [...unsafe],
  };
  for (;;) {
    const history = await store.readSubject(`evt.kms.${kmsId}`);
    const last = history.findLast(({ envelope }) => envelope.type === 'kms.bootstrapped');
    if (last !== undefined && sameAnnouncement(last.envelope.data, data)) return 'unchanged';
    const outcome = await writer.write('kms.bootstrapped', data, {
      actor: 'kms',
      expected: history.at(-1)?.seq ?? 0,
    });
    if (outcome.ok) return 'announced';
  }
}

function sameAnnouncement(stored: object, wanted: EventData<'kms.bootstrapped'>): boolean {
  const found = stored as Record<string, unknown>;
  return Object.entries(wanted).every(([name, value]) => JSON.stringify(found[name]) === JSON.stringify(value));
}
