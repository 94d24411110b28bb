import { createPrivateKey, createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type EventAuthor, KeyDirectory, keyIdOf, type Service, trustFileSchema } from '@vouch/domain';
import { z } from 'zod';
import { ConfigError } from './config/config-error.js';

/** Text of the file a setting names. Throws ConfigError naming the setting. */
export function readSettingFile(setting: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new ConfigError([`${setting}: ${path} cannot be read (${(cause as NodeJS.ErrnoException).code})`]);
  }
}

/** Key directory of the trust file. Throws ConfigError. */
export function readKeyDirectory(path: string): KeyDirectory {
  const text = readSettingFile('VOUCH_TRUST_FILE', path);
  try {
    return new KeyDirectory(trustFileSchema.parse(JSON.parse(text)));
  } catch (error) {
    const detail = error instanceof z.ZodError ? z.prettifyError(error).replace(/\s+/g, ' ') : (error as Error).message;
    throw new ConfigError([`VOUCH_TRUST_FILE: ${path} is not a trust file: ${detail}`]);
  }
}

/** NKey user seed as bytes, for connectBus. Throws ConfigError without repeating the seed. */
export function readNatsSeed(path: string): Uint8Array {
  const seed = readSettingFile('VOUCH_NATS_SEED_FILE', path).trim();
  if (!/^SU[A-Z2-7]{50,60}$/.test(seed)) {
    throw new ConfigError([`VOUCH_NATS_SEED_FILE: ${path} does not hold an NKey user seed (text that starts with SU)`]);
  }
  return new TextEncoder().encode(seed);
}

/** The event author of a key file. Throws ConfigError. */
export function readEventAuthor(path: string, service: Service, node: string): EventAuthor {
  const pem = readSettingFile('VOUCH_SIGNING_KEY_FILE', path);
  try {
    const privateKey = createPrivateKey(pem);
    return { service, node, keyid: keyIdOf(createPublicKey(privateKey)), privateKey };
  } catch {
    throw new ConfigError([`VOUCH_SIGNING_KEY_FILE: ${path} does not hold an Ed25519 private key (PKCS#8 PEM)`]);
  }
}

/** Refuses an author that readers would refuse: its key must be listed for exactly this service and node. */
export function assertAuthorKnown(author: EventAuthor, directory: KeyDirectory): void {
  const entry = directory.find(author.keyid);
  const who = author.node === '' ? author.service : `${author.service} ${author.node}`;
  if (entry === undefined) {
    throw new ConfigError([`VOUCH_TRUST_FILE: does not list the signing key of ${who} (${author.keyid})`]);
  }
  if (entry.service !== author.service || entry.node !== author.node) {
    const listed = entry.node === '' ? entry.service : `${entry.service} ${entry.node}`;
    throw new ConfigError([`VOUCH_TRUST_FILE: lists ${author.keyid} as the key of ${listed}, not of ${who}`]);
  }
}
