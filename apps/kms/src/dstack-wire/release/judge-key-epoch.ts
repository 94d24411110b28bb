import { type Finding, fails, holds } from '../../checks/check-ledger.js';
import type { KeyEpochLog } from '../../root/key-epoch-log.js';
import { keyEpochEntry } from '../../root/key-epochs.js';

/** dstack's wire knows one root: the first, whose public key is the provider id that guests are pinned to. */
const WIRE_KEY_EPOCH = 0;

/**
 * Check `key-epoch.good`: the first root is neither tainted nor revoked. Superseded is good enough: a dstack guest cannot be
 * told of a second root, and without the first it could not open its disk.
 */
export async function judgeKeyEpoch(log: KeyEpochLog): Promise<Finding> {
  const { epochs } = await log.read();
  const entry = keyEpochEntry(epochs, WIRE_KEY_EPOCH);
  if (entry === undefined) return fails(`there is no key epoch ${WIRE_KEY_EPOCH}`);
  const { status, reason } = entry;
  const said = `key epoch ${WIRE_KEY_EPOCH} is ${status}`;
  if (status === 'active' || status === 'superseded') return holds(said);
  return fails(reason === '' ? said : `${said}: ${reason}`);
}
