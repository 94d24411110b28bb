import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { type Context, dataFolder, readContext } from '../context.js';
import { misuse } from '../failure.js';
import { appEntry } from '../stack/services.js';
import { type WitnessTarget, witnessForEver, witnessOnce } from './audit-witness.js';

interface ReplayOptions {
  readonly from?: string;
  readonly to?: string;
  readonly atTime?: string;
  readonly html?: string;
  readonly json?: boolean;
}

interface VerifyOptions {
  readonly offline?: boolean;
  readonly trust?: string;
  readonly unsafeTrustAnchor?: string;
  readonly json?: boolean;
}

interface WitnessOptions {
  readonly url?: string;
  readonly origin?: string;
  readonly publicKey?: string;
  readonly state?: string;
  readonly name: string;
  readonly every?: string;
  readonly listen: string;
}

/** `vouch audit …`: replay, bundles that outsiders verify, and the witness of the log. */
export function addAuditCommands(program: Command): void {
  const audit = program.command('audit').description('check the log and what was built from it');
  addReplay(audit);
  addBundles(audit);
  addWitness(audit);
}

function addReplay(audit: Command): void {
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
      const args = [
        'replay',
        ...(options.json === true ? ['--json'] : []),
        ...(['from', 'to', 'atTime', 'html'] as const).flatMap((name) =>
          options[name] === undefined ? [] : [name === 'atTime' ? '--at-time' : `--${name}`, options[name]],
        ),
      ];
      const anchor = context.unsafeTrustAnchorFile;
      process.exitCode = await runAuditor(args, {
        ...auditEnvironment(context),
        ...(anchor === undefined ? {} : { VOUCH_UNSAFE_TRUST_ANCHOR_FILE: anchor }),
      });
    });
}

function addBundles(audit: Command): void {
  audit
    .command('export')
    .description('write everything signed so far into one file that others can verify')
    .argument('<file>', 'where to write it')
    .action(async (file: string) => {
      process.exitCode = await runAuditor(['export', resolve(file)], auditEnvironment(readContext()));
    });
  audit
    .command('verify')
    .description('verify an exported file: authors, order, checkpoints, roots, every grant; uses no network')
    .argument('<file>', 'the exported file')
    .option('--offline', 'said for clarity: this command never uses the network')
    .option('--trust <file>', "your own copy of the fleet's trust file (default: the context's)")
    .option('--unsafe-trust-anchor <file>', "a root other than Intel's for quotes (development)")
    .option('--json', 'one JSON object instead of text')
    .action(async (file: string, options: VerifyOptions) => {
      const context = options.trust === undefined ? readContext() : undefined;
      const trust = options.trust ?? context?.trustFile;
      if (trust === undefined) throw misuse('no trust file is known', 'name your copy with --trust');
      const anchor = options.unsafeTrustAnchor ?? context?.unsafeTrustAnchorFile;
      const args = [
        ...['verify', resolve(file), '--trust', resolve(trust)],
        ...(anchor === undefined ? [] : ['--unsafe-trust-anchor', resolve(anchor)]),
        ...(options.json === true ? ['--json'] : []),
      ];
      process.exitCode = await runAuditor(args, {});
    });
}

function addWitness(audit: Command): void {
  audit
    .command('witness')
    .description('remember the last checkpoint, demand that the next extends it, cosign it; without --every: one look')
    .option('--url <url>', "the auditor's listener (default: the context's)")
    .option('--origin <origin>', "the log's origin line")
    .option('--public-key <key>', "the log's Ed25519 public key, base64url")
    .option('--state <folder>', 'what was seen, and the key of the witness (default: witness in the data folder)')
    .option('--name <name>', 'name of the witness in its cosignatures', 'vouch-cli/witness')
    .option('--every <seconds>', 'go on looking, as a standalone witness')
    .option('--listen <address>', 'where a standalone witness serves /checkpoint', '127.0.0.1:9500')
    .action(async (options: WitnessOptions) => {
      const target = witnessTarget(options);
      if (options.every === undefined) return witnessOnce(target);
      const seconds = Number(options.every);
      if (!Number.isFinite(seconds) || seconds < 0.1)
        throw misuse(`--every ${options.every} is not a number of seconds`);
      if (!/^.+:\d{1,5}$/.test(options.listen)) throw misuse(`--listen ${options.listen} is not host:port`);
      return witnessForEver(target, seconds, options.listen);
    });
}

/** With url, origin and key given, no context is read: a witness needs nothing of the fleet. */
function witnessTarget({ url, origin, publicKey, state, name }: WitnessOptions): WitnessTarget {
  const folder = resolve(state ?? `${dataFolder()}/witness`);
  if (url !== undefined && origin !== undefined && publicKey !== undefined)
    return { url, origin, publicKey, folder, name };
  const { auditUrl, log } = readContext();
  const known = url ?? auditUrl;
  if (known === undefined)
    throw misuse('this context names no audit log', 'add auditUrl to the context file, or give --url');
  return { url: known, origin: origin ?? log.origin, publicKey: publicKey ?? log.publicKey, folder, name };
}

function auditEnvironment(context: Context): Record<string, string> {
  const file = context.audit?.environmentFile;
  if (file === undefined)
    throw misuse('this context names no audit access', 'add audit.environmentFile to the context file');
  return JSON.parse(readFileSync(file, 'utf8')) as Record<string, string>;
}

function runAuditor(args: readonly string[], environment: Readonly<Record<string, string>>): Promise<number> {
  return new Promise<number>((resolve, reject) => {
    const child = spawn(process.execPath, [appEntry('auditor'), ...args], {
      stdio: 'inherit',
      env: { PATH: process.env.PATH ?? '', ...environment, LOG_LEVEL: 'warn' },
    });
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 3));
  });
}
