import { eventCatalog, storable } from '@vouch/domain';
import type { StoredEvent } from '@vouch/eventstore';
import type { Hash } from '@vouch/transparency';
import { DatabaseError } from '../database/database-error.js';
import type { SqlSession } from '../database/sql-session.js';
import { IntegrityError } from './integrity-error.js';
import { timestampText } from './timestamp-text.js';

/**
 * Copies events into the `event` table: the exact stored bytes, their leaf hash, and the fields one searches by. An
 * event id that is already there, under another position, means that one event was stored twice: IntegrityError.
 */
export async function insertEvents(
  session: SqlSession,
  events: readonly StoredEvent[],
  leaves: readonly Hash[],
): Promise<void> {
  const texts = (pick: (event: StoredEvent) => string) => events.map((event) => storable(pick(event)));
  try {
    await session.query(INSERT_EVENTS, [
      events.map((event) => event.seq),
      texts((event) => event.subject),
      texts((event) => event.envelope.id),
      texts((event) => event.envelope.type),
      texts((event) => eventCatalog[event.envelope.type].kind),
      texts((event) => timestampText(event.envelope.time)),
      texts((event) => event.envelope.actor),
      texts((event) => event.envelope.cause),
      texts((event) => event.envelope.corr),
      events.map((event) => Buffer.from(event.bytes)),
      leaves.map((leaf) => Buffer.from(leaf)),
    ]);
  } catch (error) {
    if (error instanceof DatabaseError && error.constraint === 'event_id_key') {
      const range = `${events[0]?.seq}..${events.at(-1)?.seq}`;
      throw new IntegrityError('event-id-duplicate', `an event of ${range} has an id that the log already holds`, {
        cause: error,
      });
    }
    if (error instanceof DatabaseError && error.constraint === 'event_pkey') {
      throw new IntegrityError('position-moved', 'another projector has stored these events', { cause: error });
    }
    throw error;
  }
}

const INSERT_EVENTS = `insert into event (seq, subject, id, type, kind, time, actor, cause, corr, bytes, leaf_hash)
  select * from unnest($1::bigint[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::timestamptz[],
    $7::text[], $8::text[], $9::text[], $10::bytea[], $11::bytea[])`;
