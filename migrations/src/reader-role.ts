import type { DataSource } from 'typeorm';
import { scramVerifier } from './scram-verifier.js';

/** May read every table of the audit schema and write none. It can be logged in with or granted to another role. */
export const READER_ROLE = 'vouch_reader';

export interface ReaderRoleOptions {
  readonly schema: string;
  /** Password of the role. Undefined leaves the role without a new password: it is then to be granted to other roles. */
  readonly password: string | undefined;
}

/**
 * Creates the reader role when it is missing, sets its password when one is given, and grants it the schema's tables,
 * those of later migrations included. Idempotent. The connection's role needs CREATEROLE the first time.
 */
export async function ensureReaderRole(dataSource: DataSource, options: ReaderRoleOptions): Promise<void> {
  const { schema, password } = options;
  await dataSource.transaction(async (manager) => {
    const existing: unknown[] = await manager.query('select 1 from pg_roles where rolname = $1', [READER_ROLE]);
    if (existing.length === 0) await manager.query(`create role ${READER_ROLE} nologin`);
    if (password !== undefined) {
      // The verifier has only characters of base64, digits, "$", ":" and "-": it can stand in a literal.
      await manager.query(`alter role ${READER_ROLE} login password '${scramVerifier(password)}'`);
    }
    await manager.query(`alter role ${READER_ROLE} set default_transaction_read_only = on`);
    await manager.query(`grant usage on schema "${schema}" to ${READER_ROLE}`);
    await manager.query(`grant select on all tables in schema "${schema}" to ${READER_ROLE}`);
    await manager.query(`alter default privileges in schema "${schema}" grant select on tables to ${READER_ROLE}`);
  });
}
