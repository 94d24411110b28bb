import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { type CompiledContracts, compileContracts } from './compile.js';
import { type StoredVariable, storageLayoutOf, upgradeProblems } from './storage-layout.js';

const path = join(import.meta.dirname, '../storage-layout.json');
type Layouts = Readonly<Record<'DstackKms' | 'DstackApp', StoredVariable[]>>;
const committed = (): Layouts => JSON.parse(readFileSync(path, 'utf8')) as Layouts;
let compiled: CompiledContracts;
beforeAll(async () => {
  compiled = await compileContracts();
});

describe('the storage of deployed proxies', () => {
  it('can be taken over by the contracts as they are now (write the file anew with UPDATE_LAYOUT=1)', () => {
    const now: Layouts = {
      DstackKms: storageLayoutOf(compiled.DstackKms),
      DstackApp: storageLayoutOf(compiled.DstackApp),
    };
    if (existsSync(path)) {
      for (const name of ['DstackKms', 'DstackApp'] as const) {
        expect(upgradeProblems(committed()[name], now[name]), name).toEqual([]);
      }
    }
    if (process.env.UPDATE_LAYOUT === '1') writeFileSync(path, `${JSON.stringify(now, null, 2)}\n`);
    expect(now).toEqual(committed());
  });
});

describe('an upgrade', () => {
  const before = () => committed().DstackApp;
  const gap = (slot: number, slots: number): StoredVariable => ({
    ...{ label: '__gap', slot, offset: 0, sizeBytes: 32 * slots, type: `uint256[${slots}]` },
  });
  const withoutGap = () => before().filter(({ label }) => label !== '__gap');
  const added: StoredVariable = { label: 'note', slot: 4, offset: 0, sizeBytes: 32, type: 'bytes32' };

  it('may use the front of the gap', () => {
    expect(upgradeProblems(before(), [...withoutGap(), added, gap(5, 48)])).toEqual([]);
  });

  it.each<[string, () => StoredVariable[], RegExp]>([
    [
      'removes a variable',
      () => before().filter(({ label }) => label !== 'allowedDeviceIds'),
      /allowedDeviceIds is gone/,
    ],
    [
      'moves one',
      () => before().map((one) => (one.label === 'requireTcbUpToDate' ? { ...one, slot: 4 } : one)),
      /requireTcbUpToDate moved from 3\+0 to 4\+0/,
    ],
    [
      'changes a type',
      () => before().map((one) => (one.slot === 0 ? { ...one, type: 'mapping(bytes32 => uint256)' } : one)),
      /allowedComposeHashes was mapping\(bytes32 => bool\) and is mapping\(bytes32 => uint256\)/,
    ],
    ['does not shrink the gap', () => [...withoutGap(), added, gap(5, 49)], /ends at slot 54, not at 53/],
    ['writes past the gap', () => [...before(), { ...added, slot: 60 }], /note at 60\+0 lies outside the gap/],
    ['fills a hole before the gap', () => [...before(), { ...added, slot: 3, offset: 1 }], /lies outside the gap/],
  ])('that %s is refused', (_what, after, reason) => {
    expect(upgradeProblems(before(), after()).join('\n')).toMatch(reason);
  });
});
