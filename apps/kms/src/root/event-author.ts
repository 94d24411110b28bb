import { type EventAuthor, keyIdOf } from '@vouch/domain';
import { kmsEventKey } from '@vouch/keys';
import { ConfigError } from '@vouch/platform';
import type { Keyring } from './keyring.js';

/** Every replica of one root writes as one author: the event key of the key epoch that the settings name. Throws ConfigError. */
export function eventAuthor(keyring: Keyring, settings: { readonly KMS_EVENT_KEY_EPOCH: number }): EventAuthor {
  const keyEpoch = settings.KMS_EVENT_KEY_EPOCH;
  const root = keyring.held(keyEpoch);
  if (root === undefined) throw new ConfigError([`KMS_EVENT_KEY_EPOCH: no root keys of key epoch ${keyEpoch} here`]);
  const { privateKey, publicKey } = kmsEventKey(root.keys);
  return { service: 'kms', node: '', keyid: keyIdOf(publicKey), privateKey };
}
