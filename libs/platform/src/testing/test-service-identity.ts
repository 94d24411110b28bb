import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { type EventAuthor, KeyDirectory, keyIdOf, type Service, type TrustFile } from '@vouch/domain';

/** Fresh signing keys for tests of this package, and the trust file that lists them. */
export interface TestIdentities {
  readonly trust: TrustFile;
  readonly directory: KeyDirectory;
  readonly authors: readonly EventAuthor[];
}

export function testIdentities(owners: readonly (readonly [Service, string])[]): TestIdentities {
  const made = owners.map(([service, node]) => newAuthor(service, node));
  const trust: TrustFile = {
    version: 1,
    keys: made.map(({ author, publicKey }) => ({
      service: author.service,
      node: author.node,
      publicKey: raw(publicKey),
    })),
    log: { origin: 'vouch.test/log', publicKey: raw(generateKeyPairSync('ed25519').publicKey) },
  };
  return { trust, directory: new KeyDirectory(trust), authors: made.map(({ author }) => author) };
}

/** An author no trust file lists. */
export function strangerAuthor(service: Service, node: string): EventAuthor {
  return newAuthor(service, node).author;
}

function newAuthor(service: Service, node: string): { author: EventAuthor; publicKey: KeyObject } {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return { author: { service, node, keyid: keyIdOf(publicKey), privateKey }, publicKey };
}

function raw(key: KeyObject): string {
  return key.export({ format: 'jwk' }).x ?? '';
}
