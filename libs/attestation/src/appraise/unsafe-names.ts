import type { AppraisalPolicy } from './policy.js';

/** Names of the weakenings in force, sorted, as events record them. */
export function unsafeNames(policy: AppraisalPolicy): readonly string[] {
  return Object.entries(policy)
    .filter(([name, value]) => name.startsWith('unsafe') && (Array.isArray(value) ? value.length > 0 : value === true))
    .map(([name]) => name)
    .sort();
}
