/** AuditorConfig. */
export const AUDITOR_CONFIG = Symbol('AUDITOR_CONFIG');
/** LogIdentity. */
export const LOG_IDENTITY = Symbol('LOG_IDENTITY');
