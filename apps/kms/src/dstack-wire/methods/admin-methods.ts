import { createHash, timingSafeEqual } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { WireCaller } from '../guest/wire-caller.js';
import { ClearImageCacheRequest, Empty } from '../prpc/kms-messages.js';
import { PrpcError } from '../prpc/prpc-error.js';
import { type Method, method } from '../prpc/prpc-service.js';
import type { WireParts } from './wire-parts.js';

const HASH = /^[0-9a-fA-F]{64}$/;

/**
 * Removes images and measurements from the cache: a hash, `all`, or nothing for an empty text. Without a configured
 * administrator nobody may. Files have an ending behind the hash, which dstack's own server forgets.
 */
export function clearImageCache(parts: WireParts): Method<WireCaller> {
  return method({
    service: 'Admin',
    input: ClearImageCacheRequest,
    output: Empty,
    async call({ image_hash, config_hash }, caller: WireCaller) {
      assertAdmin(parts, caller);
      const wanted = {
        images: wantedName(image_hash, 'image_hash'),
        measurements: wantedName(config_hash, 'config_hash'),
      };
      for (const [folder, name] of Object.entries(wanted)) await clear(join(parts.imageCacheFolder, folder), name);
      return { value: {} };
    },
  });
}

function assertAdmin({ adminTokenHash }: WireParts, { adminToken }: WireCaller): void {
  if (adminTokenHash === undefined) throw new PrpcError('no administrator is configured: refused');
  const given = createHash('sha256')
    .update(adminToken ?? '')
    .digest();
  if (adminToken === undefined || !timingSafeEqual(given, adminTokenHash)) throw new PrpcError('unauthorized');
}

function wantedName(text: string, field: string): string | null {
  if (text === '') return null;
  if (text === 'all') return 'all';
  if (!HASH.test(text)) throw new PrpcError(`${field} must be a SHA-256 in hex, "all" or empty`);
  return text.toLowerCase();
}

async function clear(folder: string, name: string | null): Promise<void> {
  if (name === null) return;
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  const doomed = names.filter((entry) => name === 'all' || hashOf(entry) === name);
  for (const entry of doomed) await rm(join(folder, entry), { recursive: true, force: true });
}

/** The hash a file is of: `<hash>`, `<hash>.json`, `mr_<hash>.tar.gz`. */
function hashOf(entry: string): string {
  return (entry.split('.')[0] ?? '').replace(/^mr_/, '');
}
