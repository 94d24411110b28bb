/** KmsConfig. */
export const KMS_CONFIG = Symbol('KMS_CONFIG');
/** KmsRoot: the opened root keys. */
export const KMS_ROOT = Symbol('KMS_ROOT');
/** PolicySource: where boot policy is read. */
export const POLICY_SOURCE = Symbol('POLICY_SOURCE');
