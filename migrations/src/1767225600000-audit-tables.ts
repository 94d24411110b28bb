import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The log's copy and its Merkle tree (`event`, `merkle_node`, `checkpoint`, `projection`), and the projected tables
 * (columns: projections/tables of the domain library; a test compares them). No foreign keys: a row may speak of what
 * only its author claims to exist, and a claim must never stop the projection. Numbers that an event may carry in any
 * size are bigint. Leaf hashes stand in `event`; `merkle_node` holds the perfect subtrees above them.
 */
export class AuditTables1767225600000 implements MigrationInterface {
  readonly name = 'AuditTables1767225600000';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of [...LOG_TABLES, ...CATALOG_TABLES, ...FLEET_TABLES]) await runner.query(statement);
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const table of [...TABLES].reverse()) await runner.query(`drop table ${table}`);
  }
}

const TABLES = [
  'event',
  'projection',
  'merkle_node',
  'checkpoint',
  'app',
  'release',
  'host',
  'instance',
  'operation',
  'key_grant',
];

const LOG_TABLES = [
  `create table event (
    seq bigint primary key check (seq > 0),
    subject text not null,
    id uuid not null unique,
    type text not null,
    kind text not null,
    time timestamptz not null,
    actor text not null,
    cause text not null,
    corr text not null,
    bytes bytea not null,
    leaf_hash bytea not null check (length(leaf_hash) = 32)
  )`,
  'create index event_subject on event (subject, seq)',
  'create index event_type on event (type, seq)',
  'create index event_kind on event (kind, seq)',
  "create index event_corr on event (corr, seq) where corr <> ''",
  `create table projection (
    name text primary key,
    pos bigint not null check (pos >= 0)
  )`,
  "insert into projection (name, pos) values ('audit', 0)",
  `create table merkle_node (
    level smallint not null check (level > 0),
    index bigint not null check (index >= 0),
    hash bytea not null check (length(hash) = 32),
    primary key (level, index)
  )`,
  `create table checkpoint (
    size bigint primary key check (size > 0),
    root bytea not null check (length(root) = 32),
    note text not null,
    signed_at timestamptz not null
  )`,
];

const CATALOG_TABLES = [
  `create table app (
    app_id text primary key,
    name text not null,
    owner text not null,
    registered_at timestamptz not null,
    seq bigint not null
  )`,
  `create table release (
    release_id text primary key,
    app_id text not null,
    compose_hash text not null,
    name text not null,
    app_compose text not null,
    resources jsonb not null,
    encrypted_env text not null,
    ports integer[] not null,
    created_at timestamptz not null,
    seq bigint not null
  )`,
  'create index release_app on release (app_id, seq)',
  `create table host (
    host_id text primary key,
    driver text not null,
    vcpu bigint not null,
    memory_mib bigint not null,
    cordoned boolean not null,
    cordon_reason text not null,
    unsafe text[] not null,
    registered_at timestamptz not null,
    seq bigint not null
  )`,
];

const FLEET_TABLES = [
  `create table instance (
    instance_id text primary key,
    app_id text not null,
    release_id text not null,
    compose_hash text not null,
    seed text not null,
    host_id text,
    epoch bigint not null,
    address text,
    state text not null,
    running boolean not null,
    desired text not null,
    reason text not null,
    ports integer[] not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    seq bigint not null
  )`,
  'create index instance_app on instance (app_id)',
  'create index instance_host on instance (host_id)',
  `create table operation (
    operation_id text primary key,
    command text not null,
    principal text not null,
    target text not null,
    state text not null,
    code text not null,
    reason text not null,
    result jsonb,
    requested_at timestamptz not null,
    finished_at timestamptz,
    deadline timestamptz not null,
    request_hash text not null,
    steps jsonb not null,
    seq bigint not null
  )`,
  "create index operation_open on operation (target) where state in ('requested', 'waiting')",
  'create index operation_requested on operation (requested_at desc)',
  `create table key_grant (
    request_id text primary key,
    grant_seq bigint not null,
    instance_id text not null,
    app_id text not null,
    host_id text not null,
    epoch bigint not null,
    outcome text not null,
    failed_check text,
    reason text,
    checks jsonb not null,
    policy jsonb,
    compose_hash text,
    unsafe text[] not null,
    decided_at timestamptz not null
  )`,
  'create index key_grant_instance on key_grant (instance_id, grant_seq)',
];
