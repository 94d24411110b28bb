import { projectionTables } from '@vouch/domain';
import { describe, expect, it } from 'vitest';
import { ReadModel, resourceKinds } from './read-model.js';
import type { ReadModelQueries } from './read-model-pool.js';

/** Answers each query with the next of the given results and keeps what it was asked. */
class RecordedQueries implements ReadModelQueries {
  readonly asked: { text: string; values: readonly unknown[] }[] = [];

  constructor(private readonly results: object[][]) {}

  async query<R extends object>(text: string, values: readonly unknown[] = []): Promise<R[]> {
    this.asked.push({ text, values });
    return (this.results.shift() ?? []) as R[];
  }
}

describe('read model', () => {
  it.each(Object.entries(resourceKinds))('%s names only columns that the projection has', (_, kind) => {
    const table = projectionTables[kind.table];
    const columns = Object.keys(table.columns);
    expect(table.key).toEqual([kind.key]);
    const named = kind.columns === '*' ? [] : kind.columns.split(', ');
    expect(columns).toEqual(expect.arrayContaining([...named, ...Object.values(kind.filters)]));
    const ordered = kind.order.split(', ').map((part) => part.split(' ')[0]);
    expect(columns).toEqual(expect.arrayContaining(ordered));
  });

  it('nothing of a request becomes part of a statement', async () => {
    const queries = new RecordedQueries([[], []]);
    const model = new ReadModel(queries);
    const hostile = "x' or '1'='1";
    await model.list('instance', { state: hostile, [hostile]: hostile, constructor: hostile }, 10);
    await model.events({ after: 0, limit: 10, kind: hostile, type: hostile, subject: hostile, corr: hostile });
    for (const { text } of queries.asked) expect(text).not.toContain(hostile);
    expect(queries.asked[0]?.values).toEqual([hostile, 11]);
  });

  it('says when there is more, without showing it', async () => {
    const rows = [{ app_id: 'a' }, { app_id: 'b' }, { app_id: 'c' }];
    const page = await new ReadModel(new RecordedQueries([rows])).list('app', {}, 2);
    expect(page).toEqual({ items: [{ appId: 'a' }, { appId: 'b' }], truncated: true });
  });

  it('waits for minSeq and no longer than it may', async () => {
    const reached = new RecordedQueries([[{ pos: 1 }], [{ pos: 4 }]]);
    await new ReadModel(reached).waitFor(4);
    expect(reached.asked).toHaveLength(2);
    const behind = new ReadModel(new RecordedQueries([[{ pos: 3 }]]), 0);
    await expect(behind.waitFor(4)).rejects.toMatchObject({ status: 504, code: 'projection-behind', retryable: true });
  });
});
