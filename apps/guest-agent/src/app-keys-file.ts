import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { GrantPayload } from '@vouch/keys';

/** Writes `.appkeys.json` (dstack-kms §7) into the guest's own folder, mode 0600, replacing it in one step. */
export async function writeAppKeysFile(stateFolder: string, payload: GrantPayload): Promise<void> {
  const path = join(stateFolder, '.appkeys.json');
  const text = JSON.stringify({
    disk_crypt_key: payload.diskCryptKey,
    env_crypt_key: payload.envCryptKey,
    k256_key: payload.k256Key,
    k256_signature: payload.k256Signature,
    gateway_app_id: payload.gatewayAppId,
    ca_cert: payload.caCert,
    key_provider: { Kms: { url: '', pubkey: payload.keyProvider.id, tmp_ca_key: '', tmp_ca_cert: '' } },
  });
  const temporary = `${path}.new`;
  await writeFile(temporary, text, { mode: 0o600 });
  await rename(temporary, path);
}
