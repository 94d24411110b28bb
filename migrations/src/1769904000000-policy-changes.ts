import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Changes of on-chain policy, one row each (columns: projections/tables of the domain library). */
export class PolicyChanges1769904000000 implements MigrationInterface {
  readonly name = 'PolicyChanges1769904000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`create table policy_change (
      change_id text primary key,
      chain_id bigint not null,
      contract text not null,
      app_id text,
      name text not null,
      value text not null,
      enabled boolean not null,
      block bigint not null,
      block_hash text not null,
      block_time timestamptz not null,
      transaction text not null,
      log_index bigint not null,
      orphaned boolean not null,
      seq bigint not null
    )`);
    await runner.query('create index policy_change_app on policy_change (app_id, seq)');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table policy_change');
  }
}
