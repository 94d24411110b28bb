import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { TrustFile } from '@vouch/domain';
import { writeFileAtomically } from '../../atomic-file.js';
import type { GuestSpec } from '../guest-driver.js';

export interface SharedFiles {
  readonly spec: GuestSpec;
  readonly hostId: string;
  readonly trust: TrustFile;
  /** Exact vm_config text: what the guest reports is what the trust domain was made from. */
  readonly vmConfig: string;
}

/**
 * Writes dstack's host-shared files (dstack-guest §9): the exact app-compose bytes, `.sys-config.json`, `.instance_info`
 * and `.encrypted-env`. None of it is a secret; the environment is encrypted to the KMS' key of the app.
 */
export async function writeSharedFiles(folder: string, { spec, hostId, trust, vmConfig }: SharedFiles): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const { instanceId, epoch, ports, appId, seed } = spec;
  const sysConfig = { kms_urls: [], vm_config: vmConfig, vouch: { trust, hostId, instanceId, epoch, ports } };
  const instanceInfo = { instance_id_seed: seed, instance_id: instanceId, app_id: appId };
  await writeFileAtomically(join(folder, 'app-compose.json'), spec.appCompose);
  await writeFileAtomically(join(folder, '.sys-config.json'), JSON.stringify(sysConfig));
  await writeFileAtomically(join(folder, '.instance_info'), JSON.stringify(instanceInfo));
  const encryptedEnv = join(folder, '.encrypted-env');
  if (spec.encryptedEnv === '') await rm(encryptedEnv, { force: true });
  else await writeFileAtomically(encryptedEnv, Buffer.from(spec.encryptedEnv, 'hex'));
}

/** MRCONFIGID of version 1 (dstack-guest §5): 0x01, compose hash, 15 zero bytes; 96 hex digits. */
export function mrConfigIdV1(composeHash: string): string {
  return `01${composeHash}${'00'.repeat(15)}`;
}
