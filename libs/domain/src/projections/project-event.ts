import { catalogChanges } from './catalog-changes.js';
import { grantChanges } from './grant-changes.js';
import { instanceChanges } from './instance-changes.js';
import { operationChanges } from './operation-changes.js';
import { policyChanges } from './policy-changes.js';
import type { ProjectedEvent } from './projected-event.js';
import type { RowChange } from './row-change.js';
import { stepChanges } from './step-changes.js';
import { storable } from './storable.js';

/**
 * The row changes of one event, in the order they are to be applied. Deterministic: no clock, no state. Strings are
 * already in a form a database takes (see storable).
 */
export function projectEvent(event: ProjectedEvent): readonly RowChange[] {
  return storable([
    ...catalogChanges(event),
    ...instanceChanges(event),
    ...grantChanges(event),
    ...policyChanges(event),
    ...stepChanges(event),
    ...operationChanges(event),
  ]);
}
