import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { readContext } from '../context.js';
import { misuse } from '../failure.js';
import { appEntry } from '../stack/services.js';

/** `vouch audit replay`: rebuilds everything from event 1 in a scratch schema and compares. */
export function addAuditCommands(program: Command): void {
  const audit = program.command('audit').description('check the log and what was built from it');
  audit
    .command('replay')
    .description('rebuild from event 1 in a scratch schema, re-verify signatures, compare tables and Merkle root')
    .option('--to <seq>', 'stop at this sequence')
    .option('--json', 'one JSON object instead of text')
    .action(async (options: { to?: string; json?: boolean }) => {
      const file = readContext().audit?.environmentFile;
      if (file === undefined)
        throw misuse('this context names no audit access', 'add audit.environmentFile to the context file');
      const environment = JSON.parse(readFileSync(file, 'utf8')) as Record<string, string>;
      const args = [
        'replay',
        ...(options.json === true ? ['--json'] : []),
        ...(options.to === undefined ? [] : ['--to', options.to]),
      ];
      process.exitCode = await new Promise<number>((resolve, reject) => {
        const child = spawn(process.execPath, [appEntry('auditor'), ...args], {
          stdio: 'inherit',
          env: { PATH: process.env.PATH ?? '', ...environment, LOG_LEVEL: 'warn' },
        });
        child.once('error', reject);
        child.once('exit', (code) => resolve(code ?? 3));
      });
    });
}
