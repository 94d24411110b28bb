import { type KeyProvider, KeyProviderUnavailableError, PassphraseKeyProvider } from '@vouch/keys';
import { ConfigError } from '@vouch/platform';
import type { BootstrapConfig } from '../config/kms-config.js';
import { readPassphrase } from './root-files.js';

/**
 * The key provider that the settings name. Throws ConfigError for an unreadable passphrase, and for the providers that this
 * release does not have: nothing falls back to a weaker one.
 */
export async function keyProviderOf(config: BootstrapConfig): Promise<KeyProvider> {
  switch (config.KMS_KEY_PROVIDER) {
    case 'passphrase':
      return await passphraseProvider(config.KMS_PASSPHRASE_FILE);
    case 'tpm':
      throw unavailable(new KeyProviderUnavailableError('tpm', 'no TPM support in this release'));
    case 'attested-peer':
      throw unavailable(
        new KeyProviderUnavailableError(
          'attested-peer',
          'onboarding from an attested peer needs RA-TLS, not in this release',
        ),
      );
  }
}

async function passphraseProvider(path: string | undefined): Promise<KeyProvider> {
  if (path === undefined) throw new ConfigError(['KMS_PASSPHRASE_FILE: is not set']);
  let unsafePassphrase: Uint8Array;
  try {
    unsafePassphrase = await readPassphrase(path);
  } catch (error) {
    throw new ConfigError([`KMS_PASSPHRASE_FILE: ${(error as Error).message}`]);
  }
  const provider = new PassphraseKeyProvider({ unsafePassphrase });
  unsafePassphrase.fill(0);
  return provider;
}

function unavailable(error: KeyProviderUnavailableError): ConfigError {
  return new ConfigError([`KMS_KEY_PROVIDER: ${error.message}`]);
}
