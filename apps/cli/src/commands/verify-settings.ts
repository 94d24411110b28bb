import { createPrivateKey, type KeyObject } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import {
  CollateralBundle,
  CollateralClient,
  type CollateralEndpoint,
  type CollateralSource,
  type EvidencePolicy,
  earAlgorithm,
  INTEL_PCS,
  INTEL_SGX_ROOT,
  OsImageDownloader,
  type OsImageRule,
  osImageRule,
  readPolicy,
  type TrustAnchor,
  trustAnchorFromPem,
} from '@vouch/attestation';
import { misuse } from '../failure.js';

/** Options of `vouch verify` as commander gives them. */
export interface VerifyOptions {
  readonly output: string;
  readonly pccs: readonly string[];
  readonly pccsCa?: string;
  readonly collateral?: string;
  readonly at?: string;
  readonly policy?: string;
  readonly unsafeTrustAnchor?: string;
  readonly unsafePlainHttp?: true;
  readonly earKey?: string;
  readonly nonce?: string;
  readonly ca?: string;
  readonly imageUrl?: string;
  /** False with `--no-cache`. */
  readonly cache: boolean;
}

export type VerifyForm = 'table' | 'json' | 'ear';

/** Everything an examination needs but the evidence. */
export interface Examining {
  readonly collateral: CollateralSource;
  readonly now: Date;
  readonly trustAnchors: readonly TrustAnchor[];
  readonly policy: EvidencePolicy;
  readonly osImage: OsImageRule;
}

export function verifyForm({ output, earKey }: VerifyOptions): VerifyForm {
  if (output !== 'table' && output !== 'json' && output !== 'ear') {
    throw misuse(`-o ${output}: unknown output form`, 'use one of table, json, ear');
  }
  if (output === 'ear' && earKey === undefined) {
    throw misuse(
      '-o ear: an attestation result is never unsigned',
      'name a P-256 or Ed25519 private key with --ear-key',
    );
  }
  return output;
}

export function policyOf({ policy }: VerifyOptions): EvidencePolicy {
  return policy === undefined ? {} : fromFile('--policy', policy, readPolicy);
}

/** Key for `-o ear`; undefined without it. */
export function earKeyOf({ earKey }: VerifyOptions): KeyObject | undefined {
  if (earKey === undefined) return undefined;
  const key = fromFile('--ear-key', earKey, (pem) => {
    const parsed = createPrivateKey(pem);
    earAlgorithm(parsed);
    return parsed;
  });
  if ((statSync(earKey).mode & 0o077) !== 0) {
    throw misuse(`--ear-key: ${earKey} can be read by others`, `run: chmod 600 ${earKey}`);
  }
  return key;
}

export function nonceOf({ nonce }: VerifyOptions): Uint8Array | undefined {
  if (nonce === undefined) return undefined;
  if (!/^([0-9a-fA-F]{2}){8,64}$/.test(nonce)) throw misuse('--nonce must be 8 to 64 bytes in hex');
  return Buffer.from(nonce, 'hex');
}

/** PEM of `--ca`; undefined without it. */
export function tlsRootsOf({ ca }: VerifyOptions): string | undefined {
  return ca === undefined ? undefined : fromFile('--ca', ca, (pem) => pem);
}

export function examiningOf(options: VerifyOptions): Examining {
  const { unsafeTrustAnchor } = options;
  const policy = policyOf(options);
  const now = timeOf(options);
  const osImage = osImageRule(imageSourceOf(options));
  if (unsafeTrustAnchor === undefined) {
    const trustAnchors = [INTEL_SGX_ROOT];
    return { now, trustAnchors, policy, osImage, collateral: sourceOf(options, trustAnchors, now) };
  }
  const anchor = fromFile('--unsafe-trust-anchor', unsafeTrustAnchor, trustAnchorFromPem);
  const trustAnchors = [INTEL_SGX_ROOT, anchor];
  return {
    now,
    trustAnchors,
    osImage,
    // A root of one's own means simulated hardware: its guests may be processes too.
    policy: { ...policy, unsafeTrustAnchorAccepted: true, unsafeProcessGuestAccepted: true },
    collateral: sourceOf(options, trustAnchors, now),
  };
}

/** `--at` takes an ISO 8601 time or Unix seconds. */
function timeOf({ at }: VerifyOptions): Date {
  if (at === undefined) return new Date();
  const time = /^\d{1,12}$/.test(at)
    ? new Date(Number(at) * 1000)
    : new Date(/^\d{4}-\d\d-\d\d/.test(at) ? at : Number.NaN);
  if (Number.isNaN(time.getTime())) throw misuse(`--at ${at} is no time`, 'write 2026-01-31T12:00:00Z or Unix seconds');
  return time;
}

/** A bundle alone is offline; together with `--pccs` it serves when no endpoint does. */
function sourceOf(options: VerifyOptions, trustAnchors: readonly TrustAnchor[], now: Date): CollateralSource {
  const bundle =
    options.collateral === undefined
      ? undefined
      : fromFile('--collateral', options.collateral, (text) => CollateralBundle.fromText(text));
  if (bundle !== undefined && options.pccs.length === 0) return bundle;
  try {
    return new CollateralClient({
      endpoints: endpointsOf(options),
      trustAnchors,
      now: () => now,
      ...(bundle === undefined ? {} : { bundle }),
      // What is fetched for another time than now must not count as fetched now.
      ...(options.cache && options.at === undefined ? { cacheFolder: cacheFolder('collateral') } : {}),
    });
  } catch (error) {
    throw misuse(`--pccs: ${(error as Error).message}`, 'for plain http on another machine add --unsafe-plain-http');
  }
}

function endpointsOf({ pccs, pccsCa, unsafePlainHttp }: VerifyOptions): readonly CollateralEndpoint[] {
  if (pccs.length === 0) return [INTEL_PCS];
  const roots = pccsCa === undefined ? {} : { tlsRootsPem: fromFile('--pccs-ca', pccsCa, (pem) => pem) };
  const plain = unsafePlainHttp === undefined ? {} : { unsafePlainHttp };
  return pccs.map((url) => (url === 'intel' ? INTEL_PCS : { url, ...roots, ...plain }));
}

function imageSourceOf({ imageUrl, cache }: VerifyOptions): OsImageDownloader | undefined {
  if (imageUrl === undefined) return undefined;
  try {
    const folder = cache ? { cacheFolder: cacheFolder('os-images') } : {};
    return new OsImageDownloader({ ...folder, ...(imageUrl === 'dstack' ? {} : { urlTemplate: imageUrl }) });
  } catch (error) {
    throw misuse(`--image-url: ${(error as Error).message}`);
  }
}

function cacheFolder(what: 'collateral' | 'os-images'): string {
  return join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'vouch', what);
}

function fromFile<T>(option: string, path: string, read: (text: string) => T): T {
  try {
    return read(readFileSync(path, 'utf8'));
  } catch (error) {
    throw misuse(`${option}: ${path}: ${(error as Error).message}`);
  }
}
