/** KmsConfig. */
export const KMS_CONFIG = Symbol('KMS_CONFIG');
/** Keyring: the opened root keys of every key epoch. */
export const KMS_KEYRING = Symbol('KMS_KEYRING');
/** PolicySource: where boot policy is read. */
export const POLICY_SOURCE = Symbol('POLICY_SOURCE');
