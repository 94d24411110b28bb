import { Inject, Module, type OnApplicationShutdown } from '@nestjs/common';
import { ConfigError } from '@vouch/platform';
import { type KmsConfig, readKmsConfig } from '../config/kms-config.js';
import { KMS_CONFIG, KMS_ROOT } from '../tokens.js';
import { type KmsRoot, loadRoot, readPassphrase } from './root-files.js';

/** The service's settings and its opened root keys, which the platform needs before anything else: they sign events. */
@Module({
  providers: [
    { provide: KMS_CONFIG, useFactory: () => readKmsConfig() },
    { provide: KMS_ROOT, useFactory: openRoot, inject: [KMS_CONFIG] },
  ],
  exports: [KMS_CONFIG, KMS_ROOT],
})
export class RootModule implements OnApplicationShutdown {
  constructor(@Inject(KMS_ROOT) private readonly root: KmsRoot) {}

  onApplicationShutdown(): void {
    this.root.keys.wipe();
  }
}

async function openRoot(config: KmsConfig): Promise<KmsRoot> {
  let unsafePassphrase: Uint8Array;
  try {
    unsafePassphrase = await readPassphrase(config.KMS_PASSPHRASE_FILE);
  } catch (error) {
    throw new ConfigError([`KMS_PASSPHRASE_FILE: ${(error as Error).message}`]);
  }
  try {
    return await loadRoot({ dataDir: config.KMS_DATA_DIR, unsafePassphrase });
  } catch (error) {
    throw new ConfigError([`KMS_DATA_DIR: ${(error as Error).message}`]);
  } finally {
    unsafePassphrase.fill(0);
  }
}
