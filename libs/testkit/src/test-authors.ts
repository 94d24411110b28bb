import { generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto';
import {
  type AuthoredEvent,
  authorEvent,
  type EventAuthor,
  type EventData,
  type EventType,
  KeyDirectory,
  keyIdOf,
  type Service,
  type TrustFile,
} from '@vouch/domain';

export interface TestAuthorsOptions {
  /** Host ids with a worker. Default host-1 and host-2. */
  readonly hosts?: readonly string[];
  /** Gateway node ids. Default gw-1 and gw-2. */
  readonly gateways?: readonly string[];
}

/** Fresh key pairs for every service, and the trust file that lists them. */
export class TestAuthors {
  readonly trust: TrustFile;
  readonly directory: KeyDirectory;
  /** Signs checkpoints of the transparency log named in the trust file. */
  readonly logPrivateKey: KeyObject;
  readonly #authors: ReadonlyMap<string, EventAuthor>;

  constructor(options: TestAuthorsOptions = {}) {
    const owners: [Service, string][] = [
      ['control-api', ''],
      ['kms', ''],
      ['auditor', ''],
      ...(options.hosts ?? ['host-1', 'host-2']).map((node): [Service, string] => ['host-worker', node]),
      ...(options.gateways ?? ['gw-1', 'gw-2']).map((node): [Service, string] => ['gateway', node]),
    ];
    const log = generateKeyPairSync('ed25519');
    this.logPrivateKey = log.privateKey;
    const keys: TrustFile['keys'] = [];
    this.#authors = new Map(
      owners.map(([service, node]) => {
        const { author, publicKey } = newAuthor(service, node);
        keys.push({ service, node, publicKey });
        return [`${service}/${node}`, author];
      }),
    );
    this.trust = {
      version: 1,
      keys,
      log: { origin: 'vouch.test/log', publicKey: rawPublicKey(log.publicKey) },
    };
    this.directory = new KeyDirectory(this.trust);
  }

  of(service: Service, node = ''): EventAuthor {
    const author = this.#authors.get(`${service}/${node}`);
    if (author === undefined) throw new RangeError(`no test author ${service}/${node}`);
    return author;
  }

  /** Authors an event of `type` by its rightful writer; `node` for host workers and gateways. */
  event<T extends EventType>(
    author: EventAuthor,
    type: T,
    data: EventData<T>,
    more: { id?: string; time?: Date; actor?: string; cause?: string; corr?: string } = {},
  ): AuthoredEvent<T> {
    return authorEvent<T>(author, {
      id: more.id ?? randomUUID(),
      type,
      data,
      time: more.time ?? new Date('2026-01-01T00:00:00.000Z'),
      actor: more.actor ?? 'test',
      cause: more.cause ?? '',
      corr: more.corr ?? '',
    });
  }
}

export function makeTestAuthors(options: TestAuthorsOptions = {}): TestAuthors {
  return new TestAuthors(options);
}

/** A key pair for a service that no trust file lists: its events must be refused. */
export function strangerAuthor(service: Service, node = ''): EventAuthor {
  return newAuthor(service, node).author;
}

function newAuthor(service: Service, node: string): { author: EventAuthor; publicKey: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  return {
    author: { service, node, keyid: keyIdOf(publicKey), privateKey },
    publicKey: rawPublicKey(publicKey),
  };
}

/** Raw 32-byte Ed25519 public key, base64url. */
function rawPublicKey(key: KeyObject): string {
  const { x } = key.export({ format: 'jwk' });
  if (x === undefined) throw new TypeError('not an Ed25519 key');
  return x;
}
