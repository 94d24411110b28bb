import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { readContext } from '../context.js';
import { misuse } from '../failure.js';
import { appEntry } from '../stack/services.js';

interface ReplayOptions {
  readonly from?: string;
  readonly to?: string;
  readonly atTime?: string;
  readonly html?: string;
  readonly json?: boolean;
}

/** `vouch audit replay`: rebuilds everything from event 1 in a scratch schema and compares. */
export function addAuditCommands(program: Command): void {
  const audit = program.command('audit').description('check the log and what was built from it');
  audit
    .command('replay')
    .description(
      'rebuild from event 1 in a scratch schema, re-verify signatures and every grant, compare tables and root',
    )
    .option('--from <seq>', 'start at this sequence (tables are then not rebuilt)')
    .option('--to <seq>', 'stop at this sequence')
    .option('--at-time <time>', 'replay the log as it was then (ISO 8601)')
    .option('--html <file>', 'write the report as one self-contained HTML file')
    .option('--json', 'one JSON object instead of text')
    .action(async (options: ReplayOptions) => {
      const context = readContext();
      const file = context.audit?.environmentFile;
      if (file === undefined)
        throw misuse('this context names no audit access', 'add audit.environmentFile to the context file');
      const environment = JSON.parse(readFileSync(file, 'utf8')) as Record<string, string>;
      const args = [
        'replay',
        ...(options.json === true ? ['--json'] : []),
        ...(['from', 'to', 'atTime', 'html'] as const).flatMap((name) =>
          options[name] === undefined ? [] : [name === 'atTime' ? '--at-time' : `--${name}`, options[name]],
        ),
      ];
      const anchor: Record<string, string> =
        context.unsafeTrustAnchorFile === undefined
          ? {}
          : { VOUCH_UNSAFE_TRUST_ANCHOR_FILE: context.unsafeTrustAnchorFile };
      process.exitCode = await new Promise<number>((resolve, reject) => {
        const child = spawn(process.execPath, [appEntry('auditor'), ...args], {
          stdio: 'inherit',
          env: { PATH: process.env.PATH ?? '', ...environment, ...anchor, LOG_LEVEL: 'warn' },
        });
        child.once('error', reject);
        child.once('exit', (code) => resolve(code ?? 3));
      });
    });
}
