/**
 * The audit database: its tables, their migrations forward and back, and the role that may only read them. The invariant:
 * one owner (the auditor) writes; everyone else holds `vouch_reader` or nothing. No table here is the truth: each can be
 * dropped and rebuilt from the log, so going back a migration loses no fact.
 */
export { type AuditDatabaseOptions, auditDatabaseSettings, auditDataSource } from './audit-data-source.js';
export { migrateDatabase } from './migrate-database.js';
export { ensureReaderRole, READER_ROLE, type ReaderRoleOptions } from './reader-role.js';
