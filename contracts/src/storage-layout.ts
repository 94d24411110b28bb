import type { CompiledContract } from './compile.js';

/** A variable in its place, with its type spelled out (no compiler-made ids), as `storage-layout.json` keeps it. */
export interface StoredVariable {
  readonly label: string;
  readonly slot: number;
  /** Bytes from the low end of the slot. */
  readonly offset: number;
  readonly sizeBytes: number;
  readonly type: string;
}

/** Reserved slots at the end of a contract's own storage, which later versions may use from the front. */
const GAP = '__gap';

/** Where a compiled contract keeps its own state. Inherited state lies in ERC-7201 namespaces and is not listed. */
export function storageLayoutOf({ storageLayout }: CompiledContract): StoredVariable[] {
  const { storage, types } = storageLayout;
  return storage.map(({ label, slot, offset, type }) => {
    const found = types?.[type];
    if (found === undefined) throw new TypeError(`the compiler describes no type ${type}`);
    const members = found.members?.map((member) => `${types?.[member.type]?.label ?? member.type} ${member.label}`);
    const spelled = members === undefined ? found.label : `${found.label} { ${members.join('; ')} }`;
    return { label, slot: Number(slot), offset, sizeBytes: Number(found.numberOfBytes), type: spelled };
  });
}

/**
 * What would break a proxy that holds state of the `before` layout when its code becomes `after`: every variable must keep
 * its name, place and type, new ones may only lie where the gap was, and the gap must end where it did.
 */
export function upgradeProblems(before: readonly StoredVariable[], after: readonly StoredVariable[]): string[] {
  const problems: string[] = [];
  for (const old of before) {
    if (old.label === GAP) continue;
    const same = after.find(({ label }) => label === old.label);
    if (same === undefined) problems.push(`${old.label} is gone`);
    else if (place(same) !== place(old)) problems.push(`${old.label} moved from ${place(old)} to ${place(same)}`);
    else if (same.type !== old.type) problems.push(`${old.label} was ${old.type} and is ${same.type}`);
  }
  const gap = before.find(({ label }) => label === GAP);
  const [from, to] = gap === undefined ? [endOf(before), Number.POSITIVE_INFINITY] : [gap.slot, endOf([gap])];
  for (const added of after) {
    if (added.label === GAP || before.some(({ label }) => label === added.label)) continue;
    if (added.slot < from || endOf([added]) > to)
      problems.push(`${added.label} at ${place(added)} lies outside the gap`);
  }
  if (gap !== undefined && endOf(after) !== to) problems.push(`the storage ends at slot ${endOf(after)}, not at ${to}`);
  return problems;
}

/** First slot after all of them. */
function endOf(variables: readonly StoredVariable[]): number {
  return Math.max(0, ...variables.map(({ slot, sizeBytes }) => slot + Math.ceil(sizeBytes / 32)));
}

function place({ slot, offset }: StoredVariable): string {
  return `${slot}+${offset}`;
}
