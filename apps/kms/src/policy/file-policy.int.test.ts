import { chmod, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BOOT_INFO, policyFileText } from '../testing/boot-info.js';
import { FilePolicy } from './file-policy.js';

let folder = '';
let path = '';
let policy: FilePolicy;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vouch-pf-'));
  path = join(folder, 'policy.json');
  policy = new FilePolicy(path);
  await writeFile(path, policyFileText());
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('a policy file on the disk', () => {
  it('decides, and names its digest and time', async () => {
    const changed = new Date('2026-04-30T10:00:00.000Z');
    await utimes(path, changed, changed);
    expect(await policy.read('app', BOOT_INFO)).toEqual({
      isAllowed: true,
      reason: '',
      gatewayAppId: 'any',
      origin: { source: 'file', digest: expect.stringMatching(/^[0-9a-f]{64}$/) },
      asOf: changed,
    });
  });

  it('is read anew for every decision', async () => {
    const first = await policy.read('app', BOOT_INFO);
    await writeFile(path, policyFileText(undefined, 'c9'.repeat(32)));
    const second = await policy.read('app', BOOT_INFO);
    expect(second).toMatchObject({ isAllowed: false, reason: 'compose hash not allowed' });
    expect(second.origin).not.toEqual(first.origin);
  });

  it.each([
    ['empty', '', /is empty/],
    ['cut', policyFileText().slice(0, -3), /not JSON/],
    ['of another form', '{"osImages":"all"}', /osImages/],
  ])('that is %s gives no decision', async (_what, content, reason) => {
    await writeFile(path, content);
    await expect(policy.read('app', BOOT_INFO)).rejects.toMatchObject({
      code: 'policy-unavailable',
      message: expect.stringMatching(reason),
    });
  });

  it('that is missing, a folder, no text, or open to everyone gives no decision', async () => {
    await writeFile(path, Buffer.from([0xc3, 0x28]));
    await expect(policy.read('app', BOOT_INFO)).rejects.toThrow(/not UTF-8/);
    await writeFile(path, policyFileText());
    await chmod(path, 0o666);
    await expect(policy.read('app', BOOT_INFO)).rejects.toThrow(/written by everyone/);
    await rm(path);
    await expect(policy.reachable()).rejects.toThrow(/ENOENT/);
    await expect(new FilePolicy(folder).reachable()).rejects.toThrow(
      /policy file .*: (is not a regular file|cannot be read)/,
    );
  });
});
