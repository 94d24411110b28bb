import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { combine, split } from 'shamir-secret-sharing';
import { canonicalText } from './canonical-text.js';
import { RootKeys } from './root-keys.js';

const SCALAR_BYTES = 32;
const ROOT_BYTES = 2 * SCALAR_BYTES;
const DIGEST_BYTES = 32;
const MAX_SHARES = 255;

/** One key epoch in a backup: its public parts stand in every share, its secrets are split. */
export interface SharedRoot {
  readonly keyEpoch: number;
  /** DER SubjectPublicKeyInfo of the root CA key, hex, 91 bytes. */
  readonly rootCaSpki: string;
  /** Root CA certificate, PEM: grants carry its exact bytes, so a restored KMS needs these. */
  readonly rootCaCert: string;
}

/** What all shares of one backup agree in. */
export interface ShareSet {
  readonly version: 1;
  /** Random, 16 bytes hex: shares of two backups are never combined. */
  readonly setId: string;
  /** How many shares restore the roots, and how many there are. */
  readonly threshold: number;
  readonly count: number;
  readonly domain: string;
  /** ISO 8601, milliseconds. */
  readonly createdAt: string;
  /** Ascending by key epoch. */
  readonly roots: readonly SharedRoot[];
  /** SHA-256 of each share's bytes, hex, in order: a changed share is named, not just noticed. */
  readonly digests: readonly string[];
}

/** One share, as JSON: who holds `threshold` of them holds every root key in `set`. */
export interface RootShare {
  readonly set: ShareSet;
  /** 1 to `count`. */
  readonly index: number;
  /** Base64: share of (CA scalar || k256 scalar)* || SHA-256 of those; last byte is the x coordinate. */
  readonly share: string;
  /** SHA-256 of the canonical JSON of the other members, hex: finds typing errors and cut files. */
  readonly checksum: string;
}

/** Shares that do not restore root keys. Says which and why, never what is in them. */
export class RootShareError extends Error {
  readonly retryable = false;
  constructor(
    readonly code: 'share-malformed' | 'share-damaged' | 'shares-differ' | 'too-few-shares' | 'shares-inconsistent',
    message: string,
  ) {
    super(message);
    this.name = 'RootShareError';
  }
}

/**
 * Splits roots of one KMS into `count` shares of which any `threshold` restore them (Shamir over GF(2^8), audited package).
 * Fewer reveal nothing about the scalars; the members of {@link ShareSet} are public in each. Throws RangeError.
 */
export async function splitRoots(
  roots: readonly { readonly keys: RootKeys; readonly rootCaCert: string }[],
  options: {
    readonly threshold: number;
    readonly count: number;
    readonly domain: string;
    readonly now: Date;
  },
): Promise<RootShare[]> {
  const { threshold, count, domain, now } = options;
  if (roots.length === 0) throw new RangeError('there are no roots to split');
  if (!Number.isInteger(threshold) || !Number.isInteger(count) || threshold < 2 || count > MAX_SHARES) {
    throw new RangeError(`threshold and count are whole numbers, 2 to ${MAX_SHARES}`);
  }
  if (threshold > count) throw new RangeError(`${count} shares cannot have a threshold of ${threshold}`);
  const ordered = [...roots].sort((a, b) => a.keys.keyEpoch - b.keys.keyEpoch);
  const secret = secretOf(ordered.map(({ keys }) => keys));
  let parts: Uint8Array[];
  try {
    parts = await split(secret, count, threshold);
  } finally {
    secret.fill(0);
  }
  const set: ShareSet = {
    version: 1,
    setId: randomBytes(16).toString('hex'),
    ...{ threshold, count, domain },
    createdAt: now.toISOString(),
    roots: ordered.map(({ keys, rootCaCert }) => ({ keyEpoch: keys.keyEpoch, rootCaSpki: spkiHex(keys), rootCaCert })),
    digests: parts.map(digestOf),
  };
  return parts.map((part, at) => {
    const body = { set, index: at + 1, share: Buffer.from(part).toString('base64') };
    part.fill(0);
    return { ...body, checksum: checksumOf(body) };
  });
}

/**
 * Restores roots from shares of one set. Each share must be whole and the same backup's; what comes out must have the
 * public keys that the set names. Throws RootShareError; InvalidKeyError cannot happen for shares that this made.
 */
export async function combineRootShares(shares: readonly RootShare[]): Promise<{ set: ShareSet; roots: RootKeys[] }> {
  const [first] = shares;
  if (first === undefined) throw new RootShareError('too-few-shares', 'no shares were given');
  const { set } = first;
  const distinct = new Map<number, Uint8Array>();
  for (const share of shares) distinct.set(share.index, shareBytes(share, set));
  if (distinct.size < set.threshold) {
    throw new RootShareError('too-few-shares', `${distinct.size} of ${set.threshold} needed shares were given`);
  }
  const chosen = [...distinct.values()].slice(0, set.threshold);
  const secret = await combine(chosen);
  for (const part of distinct.values()) part.fill(0);
  const roots: RootKeys[] = [];
  try {
    for (const [at, { keyEpoch }] of set.roots.entries()) {
      const from = at * ROOT_BYTES;
      const ca = secret.subarray(from, from + SCALAR_BYTES);
      const k256 = secret.subarray(from + SCALAR_BYTES, from + ROOT_BYTES);
      if (at === 0 && !digestHolds(secret)) throw inconsistent();
      roots.push(RootKeys.fromScalars(ca, k256, keyEpoch));
      if (spkiHex(roots[at] as RootKeys) !== set.roots[at]?.rootCaSpki) throw inconsistent();
    }
    return { set, roots };
  } catch (error) {
    for (const root of roots) root.wipe();
    throw error;
  } finally {
    secret.fill(0);
  }
}

/** Reads one share's JSON text. Throws RootShareError `share-malformed` or `share-damaged`; never repeats the text. */
export function readRootShare(text: string): RootShare {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new RootShareError('share-malformed', 'the share is not JSON: cut, or another file');
  }
  if (!isRootShare(json)) throw new RootShareError('share-malformed', 'the file is not a share of root keys');
  const { checksum, ...body } = json;
  if (checksumOf(body) !== checksum) {
    throw new RootShareError('share-damaged', `share ${json.index}: its checksum does not match`);
  }
  return json;
}

function shareBytes({ set, index, share }: RootShare, expected: ShareSet): Uint8Array {
  if (canonicalText(set) !== canonicalText(expected)) {
    throw new RootShareError('shares-differ', `share ${index} is of backup ${set.setId}, not ${expected.setId}`);
  }
  const bytes = Uint8Array.from(Buffer.from(share, 'base64'));
  const length = set.roots.length * ROOT_BYTES + DIGEST_BYTES + 1;
  if (bytes.length !== length || digestOf(bytes) !== set.digests[index - 1]) {
    bytes.fill(0);
    throw new RootShareError('share-damaged', `share ${index} is not the one that was made`);
  }
  return bytes;
}

function secretOf(roots: readonly RootKeys[]): Uint8Array {
  const secret = new Uint8Array(roots.length * ROOT_BYTES + DIGEST_BYTES);
  for (const [at, root] of roots.entries()) {
    root.useCaScalar((scalar) => secret.set(scalar, at * ROOT_BYTES));
    root.useK256Scalar((scalar) => secret.set(scalar, at * ROOT_BYTES + SCALAR_BYTES));
  }
  secret.set(hash(secret.subarray(0, -DIGEST_BYTES)), secret.length - DIGEST_BYTES);
  return secret;
}

function digestHolds(secret: Uint8Array): boolean {
  return timingSafeEqual(hash(secret.subarray(0, -DIGEST_BYTES)), secret.subarray(-DIGEST_BYTES));
}

function hash(bytes: Uint8Array): Uint8Array {
  return createHash('sha256').update('vouch-root-shares-v1\n').update(bytes).digest();
}

function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function checksumOf(body: Omit<RootShare, 'checksum'>): string {
  return createHash('sha256').update(canonicalText(body)).digest('hex');
}

function spkiHex(root: RootKeys): string {
  return Buffer.from(root.caSpki).toString('hex');
}

function inconsistent(): RootShareError {
  return new RootShareError('shares-inconsistent', 'the shares do not give the root keys that they name');
}

function isRootShare(value: unknown): value is RootShare {
  const share = value as Partial<RootShare> | null;
  const set = share?.set as Partial<ShareSet> | undefined;
  const whole = (number: unknown, most: number) =>
    Number.isInteger(number) && Number(number) >= 1 && Number(number) <= most;
  return (
    typeof share?.share === 'string' &&
    typeof share.checksum === 'string' &&
    set?.version === 1 &&
    whole(set.count, MAX_SHARES) &&
    whole(set.threshold, set.count ?? 0) &&
    whole(share.index, set.count ?? 0) &&
    [set.setId, set.domain, set.createdAt].every((member) => typeof member === 'string') &&
    isListOf(set.digests, (digest) => typeof digest === 'string') &&
    isListOf(set.roots, isSharedRoot)
  );
}

function isSharedRoot(value: unknown): boolean {
  const root = value as Partial<SharedRoot> | null;
  return (
    Number.isSafeInteger(root?.keyEpoch) && typeof root?.rootCaSpki === 'string' && typeof root.rootCaCert === 'string'
  );
}

function isListOf(value: unknown, isEntry: (entry: unknown) => boolean): boolean {
  return Array.isArray(value) && value.length > 0 && value.every(isEntry);
}
