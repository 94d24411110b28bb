import { type KeyDirectory, readEvent, verifyAuthor } from '@vouch/domain';
import type { StoredEvent } from '@vouch/eventstore';
import type { SqlRow, SqlSession } from '../database/sql-session.js';
import { bytesOf } from '../projector/merkle-store.js';
import type { DecisionLog } from './grant-rechecker.js';

/** The events decisions rest on, from the copy in Postgres. Throws EventRejectedError for a copy that was changed. */
export class CopiedDecisionLog implements DecisionLog {
  constructor(
    private readonly session: SqlSession,
    private readonly directory: KeyDirectory,
  ) {}

  async event(seq: number): Promise<StoredEvent | undefined> {
    return (await this.#events('seq = $1', [seq]))[0];
  }

  instance(instanceId: string, before: number): Promise<StoredEvent[]> {
    return this.#events('subject = $1 and seq < $2', [`evt.instance.${instanceId}`, before]);
  }

  collateral(digest: string, before: number): Promise<StoredEvent[]> {
    return this.#events(
      "type = 'kms.collateral-recorded' and seq < $1 and position(convert_to($2, 'UTF8') in bytes) > 0",
      [before, digest],
    );
  }

  async #events(where: string, parameters: readonly unknown[]): Promise<StoredEvent[]> {
    const sql = `select seq, subject, time, bytes from event where ${where} order by seq`;
    const { rows } = await this.session.query(sql, parameters);
    return rows.map((row) => this.#opened(row));
  }

  #opened(row: SqlRow): StoredEvent {
    const subject = String(row.subject);
    const event = readEvent(bytesOf(row.bytes), subject);
    verifyAuthor(event, this.directory);
    return { ...event, seq: Number(row.seq), subject, storedAt: row.time as Date } as unknown as StoredEvent;
  }
}
