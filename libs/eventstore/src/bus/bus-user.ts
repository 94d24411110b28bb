import type { Service } from '@vouch/domain';

/**
 * One NATS identity: a service (with its host or node id, else empty), or the migration step, which alone may create
 * and change streams.
 */
export type BusUser =
  | { readonly service: Service; readonly node: string }
  | { readonly service: 'migration'; readonly node?: '' };

/** Stable display name: `kms`, `host-worker/host-1`. */
export function busUserName(user: BusUser): string {
  return user.node === undefined || user.node === '' ? user.service : `${user.service}/${user.node}`;
}

/**
 * Prefix of the subjects a user receives replies on: `_INBOX.<service>` or `_INBOX.<service>.<node>`. Each level is its own
 * token, because NATS wildcards stand for whole tokens: a replier may be allowed `_INBOX.host-worker.>` and no more.
 */
export function inboxPrefix(user: BusUser): string {
  return user.node === undefined || user.node === '' ? `_INBOX.${user.service}` : `_INBOX.${user.service}.${user.node}`;
}
