import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const entry = fileURLToPath(new URL('../dist/main.js', import.meta.url));

function run(env: Record<string, string>): { child: ChildProcess; stderr: () => string } {
  let stderr = '';
  const child = spawn(process.execPath, [entry], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  child.stderr?.on('data', (chunk) => {
    stderr += chunk;
  });
  return { child, stderr: () => stderr };
}

describe('the process', () => {
  it.each<[string, Record<string, string>]>([
    ['VERIFIER_LISTEN', { VERIFIER_LISTEN: 'nowhere' }],
    ['OS_IMAGE_HASH', { VERIFIER_IMAGE_URL: 'https://images.example/image.tar.gz' }],
    ['unsafePlainHttp', { VERIFIER_PCCS_URL: 'http://pccs.example' }],
  ])('exits 78 with one line on a wrong setting (%s)', async (name, env) => {
    const { child, stderr } = run(env);
    const [code] = (await once(child, 'close')) as [number];
    expect(code).toBe(78);
    expect(stderr()).toContain(name);
    expect(stderr().trim().split('\n')).toHaveLength(1);
  });

  it('serves until SIGTERM and exits 0', async () => {
    const { child } = run({ VERIFIER_LISTEN: '127.0.0.1:0' });
    if (child.stdout === null) throw new Error('no stdout');
    const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
    const { msg, url } = JSON.parse(line) as { msg: string; url: string };
    expect(msg).toBe('ready');
    expect((await fetch(`${url}/health`)).status).toBe(200);
    const exited = once(child, 'exit');
    child.kill('SIGTERM');
    expect((await exited)[0]).toBe(0);
  });
});
