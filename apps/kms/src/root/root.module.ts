import { Inject, Module, type OnApplicationShutdown } from '@nestjs/common';
import { ConfigError } from '@vouch/platform';
import { type KmsConfig, readKmsConfig } from '../config/kms-config.js';
import { KMS_CONFIG, KMS_KEYRING } from '../tokens.js';
import { keyProviderOf } from './key-provider-of.js';
import { Keyring } from './keyring.js';
import { loadRoots, openRootFile } from './root-files.js';

/** The service's settings and its opened root keys, which the platform needs before anything else: they sign events. */
@Module({
  providers: [
    { provide: KMS_CONFIG, useFactory: () => readKmsConfig() },
    { provide: KMS_KEYRING, useFactory: openKeyring, inject: [KMS_CONFIG] },
  ],
  exports: [KMS_CONFIG, KMS_KEYRING],
})
export class RootModule implements OnApplicationShutdown {
  constructor(@Inject(KMS_KEYRING) private readonly keyring: Keyring) {}

  onApplicationShutdown(): void {
    this.keyring.wipe();
  }
}

async function openKeyring(config: KmsConfig): Promise<Keyring> {
  const dataDir = config.KMS_DATA_DIR;
  const provider = await keyProviderOf(config);
  try {
    return new Keyring(await loadRoots({ dataDir, provider }), (keyEpoch) =>
      openRootFile({ dataDir, provider }, keyEpoch),
    );
  } catch (error) {
    throw new ConfigError([`KMS_DATA_DIR: ${(error as Error).message}`]);
  }
}
