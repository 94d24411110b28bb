import { spawn } from 'node:child_process';
import { CliFailure, exitCodes } from '../failure.js';

/** Runs one program of this project to its end; answers its stdout. Secrets go in by environment, never by argument. */
export function runOnce(
  script: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [script, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env.PATH ?? '',
        HOME: process.env.HOME ?? '/',
        TMPDIR: process.env.TMPDIR ?? '/tmp',
        ...env,
      },
    });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) return resolve(Buffer.concat(out).toString('utf8'));
      const words = Buffer.concat([...err, ...out])
        .toString('utf8')
        .trim()
        .split('\n')
        .slice(-8)
        .join('\n  ');
      reject(new CliFailure(exitCodes.network, `${script} ${args.join(' ')} failed (exit ${code}):\n  ${words}`));
    });
  });
}
