export { APPRAISE_CHECKS, appraise } from './appraise.js';
export type { AppraisedEvidence, AppraiseResult } from './appraised-evidence.js';
export type { AppraisalPolicy, ReferenceValues } from './policy.js';
export { readTdAttributes, type TdAttributes } from './td-attributes.js';
export { unsafeNames } from './unsafe-names.js';
