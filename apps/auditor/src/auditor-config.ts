import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { ed25519PublicKey, type KeyDirectory } from '@vouch/domain';
import { ConfigError, readConfig } from '@vouch/platform';
import { z } from 'zod';
import type { LogIdentity } from './projector/log-signer.js';

export const databaseConfigSchema = z.object({
  /** postgresql:// URL of the audit database, as its owner. */
  DATABASE_URL: z.string().regex(/^postgres(ql)?:\/\//, 'must be a postgresql:// URL'),
});

const auditorConfigSchema = databaseConfigSchema.extend({
  /** Ed25519 private key (PKCS#8 PEM) that signs checkpoints. */
  VOUCH_LOG_KEY_FILE: z.string(),
  /** Origin line of the checkpoints. */
  VOUCH_LOG_ORIGIN: z.string().regex(/^[^\s+]{1,200}$/, 'must have no spaces and no "+"'),
  /** News older than this is signed for without being asked, ms. */
  AUDITOR_CHECKPOINT_INTERVAL_MS: z.coerce.number().int().min(10).max(200).default(200),
  /** Longest wait of a request for a receipt, s. */
  AUDITOR_RECEIPT_WAIT_SECONDS: z.coerce.number().int().min(1).max(60).default(10),
});

export type AuditorConfig = z.infer<typeof auditorConfigSchema>;

export function readAuditorConfig(): AuditorConfig {
  return readConfig(auditorConfigSchema);
}

/**
 * The log's identity from its key file. It must be the one the trust file names: checkpoints under another would be
 * refused by everyone. Throws ConfigError.
 */
export function readLogIdentity(config: AuditorConfig, directory: KeyDirectory): LogIdentity {
  const privateKey = readPrivateKey(config.VOUCH_LOG_KEY_FILE);
  const publicKey = createPublicKey(privateKey);
  const { origin, publicKey: trusted } = directory.trust.log;
  if (origin !== config.VOUCH_LOG_ORIGIN) {
    throw new ConfigError([`VOUCH_LOG_ORIGIN: the trust file names the log ${origin}`]);
  }
  if (!publicKey.equals(ed25519PublicKey(trusted))) {
    throw new ConfigError(['VOUCH_LOG_KEY_FILE: is not the key the trust file names for the log']);
  }
  return { origin, privateKey, publicKey };
}

function readPrivateKey(path: string): KeyObject {
  try {
    const key = createPrivateKey(readFileSync(path, 'utf8'));
    if (key.asymmetricKeyType === 'ed25519') return key;
  } catch {
    // Told below; the cause could quote the file.
  }
  throw new ConfigError([`VOUCH_LOG_KEY_FILE: ${path} does not hold an Ed25519 private key (PKCS#8 PEM)`]);
}
