import { CompactRange, type Hash, type NodeId, nodeKey, type StoredNode } from '@vouch/transparency';
import type { SqlSession } from '../database/sql-session.js';
import { IntegrityError } from './integrity-error.js';

/**
 * Reads perfect subtrees: leaves (level 0) from the event copy, the others from merkle_node. A node that is not stored is
 * absent from the result.
 */
export async function readNodes(session: SqlSession, ids: readonly NodeId[]): Promise<Map<string, Hash>> {
  if (ids.length === 0) return new Map();
  const leaves = ids.filter((id) => id.level === 0).map((id) => id.index + 1);
  const inner = ids.filter((id) => id.level > 0);
  const { rows } = await session.query(
    `select 0 as level, seq - 1 as index, leaf_hash as hash from event where seq = any($1::bigint[])
     union all
     select m.level, m.index, m.hash from merkle_node m
     join unnest($2::smallint[], $3::bigint[]) as wanted(level, index) using (level, index)`,
    [leaves, inner.map((id) => id.level), inner.map((id) => id.index)],
  );
  return new Map(
    rows.map((row) => [nodeKey({ level: Number(row.level), index: Number(row.index) }), bytesOf(row.hash)]),
  );
}

/** The tree over the first `size` stored events. Throws IntegrityError when a node is missing. */
export async function loadRange(session: SqlSession, size: number): Promise<CompactRange> {
  const ids = CompactRange.nodesOf(size);
  const nodes = await readNodes(session, ids);
  const hashes = ids.map((id) => {
    const hash = nodes.get(nodeKey(id));
    if (hash === undefined) throw new IntegrityError('copy-incomplete', `Merkle node ${nodeKey(id)} is missing`);
    return hash;
  });
  return CompactRange.restore(size, hashes);
}

/** Stores completed nodes above the leaves. */
export async function insertNodes(session: SqlSession, nodes: readonly StoredNode[]): Promise<void> {
  const inner = nodes.filter((node) => node.level > 0);
  if (inner.length === 0) return;
  await session.query(
    'insert into merkle_node (level, index, hash) select * from unnest($1::smallint[], $2::bigint[], $3::bytea[])',
    [inner.map((node) => node.level), inner.map((node) => node.index), inner.map((node) => Buffer.from(node.hash))],
  );
}

export function bytesOf(value: unknown): Uint8Array {
  if (!(value instanceof Uint8Array)) throw new TypeError('a bytea column did not come back as bytes');
  return new Uint8Array(value);
}
