import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { composeHashOf } from '@vouch/domain';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readSharedFolder } from './shared-folder.js';

const compose = '{ "manifest_version": 2, "name": "x", "runner": "bash", "bash_script": "true" }\n';
const trust = { version: 1, keys: [], log: { origin: 'o', publicKey: 'A'.repeat(43) } };
const sysConfig = { vm_config: '{}', vouch: { trust, hostId: 'h', epoch: 1 } };
const info = { instance_id_seed: '00'.repeat(20), app_id: '11'.repeat(20) };

describe('shared folder', () => {
  let folder: string;
  const put = (name: string, text: string): Promise<void> => writeFile(join(folder, name), text);

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'shared-'));
    await put('app-compose.json', compose);
    await put('.sys-config.json', JSON.stringify(sysConfig));
    await put('.instance_info', JSON.stringify(info));
  });
  afterEach(async () => {
    await rm(folder, { recursive: true });
  });

  it('is read with the hash of the exact bytes and the instance id of its seed', async () => {
    const shared = await readSharedFolder(folder);
    expect(shared.composeHash).toBe(composeHashOf(Buffer.from(compose)));
    expect(shared.appComposeText).toBe(compose);
    expect(shared.instance.instanceId).toMatch(/^[0-9a-f]{40}$/);
    expect(shared.encryptedEnv).toHaveLength(0);
    expect(shared.sysConfig.vouch.ports).toEqual([]);
  });

  it.each([
    [
      'an instance id that is not the seed’s',
      '.instance_info',
      { ...info, instance_id: '22'.repeat(20) },
      'but seed and app id give',
    ],
    ['a malformed app id', '.instance_info', { ...info, app_id: 'xyz' }, 'app_id'],
    ['a missing epoch', '.sys-config.json', { ...sysConfig, vouch: { trust, hostId: 'h' } }, 'epoch'],
    ['a malformed trust file', '.sys-config.json', { ...sysConfig, vouch: { ...sysConfig.vouch, trust: {} } }, 'trust'],
    ['a port out of range', '.sys-config.json', { ...sysConfig, vouch: { ...sysConfig.vouch, ports: [0] } }, 'ports'],
  ])('refuses %s', async (_, name, content, reason) => {
    await put(name, JSON.stringify(content));
    await expect(readSharedFolder(folder)).rejects.toThrow(reason);
  });

  it('refuses files that are missing, too large, links or not files', async () => {
    await rm(join(folder, '.instance_info'));
    await expect(readSharedFolder(folder)).rejects.toThrow('.instance_info is missing');
    await put('elsewhere', JSON.stringify(info));
    await symlink(join(folder, 'elsewhere'), join(folder, '.instance_info'));
    await expect(readSharedFolder(folder)).rejects.toThrow('.instance_info cannot be opened as a plain file');
    await rm(join(folder, '.instance_info'));
    await mkdir(join(folder, '.instance_info'));
    await expect(readSharedFolder(folder)).rejects.toThrow('.instance_info is not a plain file');
    await put('.sys-config.json', ' '.repeat(64 * 1024 + 1));
    await expect(readSharedFolder(folder)).rejects.toThrow('.sys-config.json is larger than 65536 bytes');
  });
});
