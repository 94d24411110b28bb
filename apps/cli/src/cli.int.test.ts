import { execFile } from 'node:child_process';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const bin = resolve(import.meta.dirname, '../bin/vouch.mjs');
let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vouch-cli-'));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

function vouch(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ code: number; out: string; err: string }> {
  return new Promise((done) => {
    execFile(
      process.execPath,
      [bin, ...args],
      { env: { ...process.env, VOUCH_DATA: folder, ...env } },
      (error, out, err) => {
        done({ code: error === null ? 0 : Number(error.code), out, err });
      },
    );
  });
}

describe('vouch', () => {
  it('explains itself', async () => {
    const { code, out } = await vouch(['--help']);
    expect(code).toBe(0);
    for (const command of [
      'up',
      'down',
      'status',
      'deploy',
      'ls',
      'get',
      'logs',
      'stop',
      'rm',
      'events',
      'verify',
      'audit',
    ])
      expect(out).toContain(command);
    expect(out).toContain('Exit codes');
  });

  it.each([['bogus'], ['ls', '--bogus'], ['deploy'], ['get', 'instance']])(
    'misuse `%s %s` is exit code 1',
    async (...args) => {
      expect((await vouch(args.filter((word): word is string => typeof word === 'string'))).code).toBe(1);
    },
  );

  it('says what to run when no fleet is known', async () => {
    const { code, err } = await vouch(['ls']);
    expect(code).toBe(1);
    expect(err).toMatch(/context\.json does not exist[\s\S]*vouch up/);
  });

  it('refuses a context that others can read, that is no JSON, or that lacks a field', async () => {
    const path = join(folder, 'other-context.json');
    await writeFile(path, '{}', { mode: 0o644 });
    await chmod(path, 0o644);
    expect((await vouch(['ls'], { VOUCH_CONTEXT: path })).err).toMatch(/chmod 600/);
    await chmod(path, 0o600);
    expect((await vouch(['ls'], { VOUCH_CONTEXT: path })).err).toMatch(/apiUrl/);
    await writeFile(path, 'not json');
    expect((await vouch(['ls'], { VOUCH_CONTEXT: path })).err).toMatch(/not JSON/);
  });

  it('says the API does not answer, as a network failure, without a stack trace', async () => {
    const path = join(folder, 'context.json');
    const context = {
      apiUrl: 'http://127.0.0.1:9',
      apiToken: 'x'.repeat(43),
      gateway: { host: '127.0.0.1', port: 1, baseDomain: 'x' },
      log: { origin: 'o', publicKey: 'k' },
    };
    await writeFile(path, JSON.stringify(context), { mode: 0o600 });
    const { code, err } = await vouch(['ls']);
    expect(code).toBe(3);
    expect(err).toMatch(/does not answer[\s\S]*vouch status/);
    expect(err).not.toContain('    at ');
  });

  it.each([
    ['missing.json', null, /cannot be read/],
    ['broken.json', '{', /not UTF-8 JSON/],
    ['nameless.json', '{"runner":"bash"}', /name: a non-empty string/],
    ['huge.json', `{"name":"${'x'.repeat(140_000)}"}`, /131072/],
  ])('deploy refuses %s before it asks anybody', async (name, content, reason) => {
    if (content !== null) await writeFile(join(folder, name), content);
    const { code, err } = await vouch(['deploy', join(folder, name)]);
    expect(code).toBe(1);
    expect(err).toMatch(reason);
  });

  it('down on nothing is harmless', async () => {
    const empty = join(folder, 'empty');
    expect((await vouch(['down', '--purge'], { VOUCH_DATA: empty })).code).toBe(0);
  });
});
