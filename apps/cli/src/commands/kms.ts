import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { ApiClient } from '../api-client.js';
import { readContext } from '../context.js';
import { CliFailure, exitCodes, misuse } from '../failure.js';
import { type Column, note, outputForm, print, printRows, short, text } from '../output.js';
import { runOnce } from '../stack/run-once.js';
import { appEntry } from '../stack/services.js';
import type { EventRow, InstanceRow } from './fleet-types.js';
import { type KeyEpochRow, type RekeyRow, rekeyPlan } from './kms-plan.js';

interface EpochReport {
  readonly kmsId: string;
  readonly provider: string;
  readonly keyEpoch?: number;
  readonly changed?: boolean;
  readonly epochs: readonly KeyEpochRow[];
}

const PAGE = 1000;

const epochColumns: readonly Column<KeyEpochRow>[] = [
  { heading: 'epoch', value: (row) => String(row.keyEpoch) },
  { heading: 'status', value: (row) => row.status },
  { heading: 'root here', value: (row) => (row.isHere ? 'yes' : 'NO') },
  { heading: 'root key', value: (row) => (row.rootCaSpki === undefined ? '-' : `…${row.rootCaSpki.slice(-16)}`) },
  { heading: 'reason', value: (row) => text(row.reason) },
  { heading: 'root ca spki', value: (row) => text(row.rootCaSpki), wide: true },
  { heading: 'event key', value: (row) => text(row.eventKey), wide: true },
];

const planColumns: readonly Column<RekeyRow>[] = [
  { heading: 'instance', value: (row) => row.instanceId },
  { heading: 'app', value: (row) => short(row.appId) },
  { heading: 'host', value: (row) => text(row.hostId) },
  { heading: 'state', value: (row) => row.state },
  { heading: 'key epoch', value: (row) => `${row.keyEpoch} (${row.status})` },
  { heading: 'action', value: (row) => row.action },
];

/**
 * `vouch kms …`: root keys of the KMS on this machine. Everything that changes them runs as the KMS's own offline command,
 * with its files and its bus user: no endpoint of the service can do it, so none can be attacked.
 */
export function addKmsCommands(program: Command): void {
  const kms = program.command('kms').description('root keys of the KMS on this machine: epochs, shares');
  kms
    .command('status')
    .alias('epochs')
    .description('key epochs as the log has them, and whether their roots are here')
    .option('-o, --output <form>', 'table, wide or json', 'table')
    .action(async (options: { output: string }) => showEpochs(await epochs(['list']), options.output));

  const epoch = kms.command('epoch').description('prepare, activate, taint and revoke key epochs');
  epoch
    .command('prepare')
    .description('make the roots of the next key epoch; they are used once it is activated')
    .action(async () => {
      const report = await epochs(['prepare']);
      showChange(report, 'prepared');
      note('next: copy its root file to every replica, list its keys in every trust file, restart, then activate it');
    });
  epoch
    .command('activate')
    .description('from now on grants carry keys of this epoch; every trust file must know it already')
    .argument('<epoch>', 'number of a prepared key epoch')
    .action(async (id: string) => {
      requireTrusted(await epochs(['list']), id);
      showChange(await epochs(['activate', id]), 'active');
      note('next: vouch kms epoch plan');
    });
  for (const [verb, what] of [
    ['taint', 'no new grants or certificates of this epoch: for a suspected leak'],
    ['revoke', 'nothing of this epoch any more, not even to open old data'],
  ] as const) {
    epoch
      .command(verb)
      .description(what)
      .argument('<epoch>', 'number of the key epoch')
      .requiredOption('--reason <text>', 'why; it is public in the log')
      .action(async (id: string, options: { reason: string }) =>
        showChange(await epochs([verb, id, '--reason', options.reason]), verb === 'taint' ? 'tainted' : 'revoked'),
      );
  }
  epoch
    .command('plan')
    .description('instances whose keys are of an old epoch, the most urgent first')
    .option('-o, --output <form>', 'table, wide, json or name', 'table')
    .action(async (options: { output: string }) => {
      const rows = await plan();
      printRows(rows, planColumns, outputForm(options.output), 'every instance has keys of the active key epoch');
    });
  addSharesCommands(kms);
}

function addSharesCommands(kms: Command): void {
  const shares = kms.command('shares').description('back up root keys as k-of-n shares, and restore them');
  shares
    .command('split')
    .description('write the root keys of all key epochs as shares, one file each')
    .requiredOption('--threshold <k>', 'how many shares restore the keys')
    .requiredOption('--shares <n>', 'how many shares to make')
    .option('--out <folder>', 'a new folder for the share files (0700, files 0600)')
    .option('--print', 'print the shares instead of writing files')
    .action(async (options: { threshold: string; shares: string; out?: string; print?: boolean }) => {
      if ((options.out === undefined) === (options.print !== true)) throw misuse('say --out <new folder>, or --print');
      const where = options.out === undefined ? ['--print'] : ['--out', options.out];
      print(
        await kmsCommand('shares', ['split', '--threshold', options.threshold, '--shares', options.shares, ...where]),
      );
    });
  shares
    .command('combine')
    .description("restore root keys from share files into the KMS's data folder, which must not hold others")
    .argument('<files...>', 'share files')
    .option('--data <folder>', 'another folder: for a restore drill')
    .action(async (files: string[], options: { data?: string }) => {
      const more = options.data === undefined ? {} : { KMS_DATA_DIR: options.data };
      print(await kmsCommand('shares', ['combine', ...files], more));
    });
}

async function epochs(args: readonly string[]): Promise<EpochReport> {
  return JSON.parse(await kmsCommand('epoch', args)) as EpochReport;
}

/** Runs an offline command of the KMS with the settings of this machine; answers its one line. */
async function kmsCommand(name: string, args: readonly string[], more: Record<string, string> = {}): Promise<string> {
  const file = readContext().kms?.environmentFile;
  if (file === undefined) throw misuse('this context names no KMS on this machine', 'add kms.environmentFile to it');
  const environment = JSON.parse(readFileSync(file, 'utf8')) as Record<string, string>;
  return (await runOnce(appEntry('kms'), [name, ...args], { ...environment, LOG_LEVEL: 'warn', ...more })).trim();
}

function showEpochs({ kmsId, provider, epochs: rows }: EpochReport, output: string): void {
  const form = outputForm(output);
  if (form === 'json') {
    print(JSON.stringify({ kmsId, provider, epochs: rows }, null, 2));
    return;
  }
  note(`${kmsId}: roots sealed with ${provider}`);
  printRows(rows, epochColumns, form, '');
}

function showChange({ keyEpoch, changed, epochs: rows }: EpochReport, state: string): void {
  note(`key epoch ${keyEpoch} is ${state}${changed === true ? '' : ' already'}`);
  printRows(rows, epochColumns, 'table', '');
}

/** Guests refuse a root that their trust file does not name, so an activation before it does would stop every boot. */
function requireTrusted({ epochs: rows }: EpochReport, id: string): void {
  const root = rows.find(({ keyEpoch }) => String(keyEpoch) === id)?.rootCaSpki;
  const { trustFile } = readContext();
  if (root === undefined || trustFile === undefined) return;
  if (readFileSync(trustFile, 'utf8').includes(root)) return;
  throw new CliFailure(
    exitCodes.conflict,
    `${trustFile} does not name the root of key epoch ${id}: guests would refuse its grants`,
    'a local stack lists it by itself: vouch down && vouch up; elsewhere see docs/runbooks/rotate-root-keys.md',
  );
}

async function plan(): Promise<readonly RekeyRow[]> {
  const api = new ApiClient(readContext());
  const { epochs: rows } = await epochs(['list']);
  const { items: instances } = await api.get<{ items: InstanceRow[] }>('/v1/instances');
  const grants: EventRow[] = [];
  for (;;) {
    const after = grants.at(-1)?.seq ?? 0;
    const { items } = await api.get<{ items: EventRow[] }>('/v1/events', { type: 'grant.issued', limit: PAGE, after });
    grants.push(...items);
    if (items.length < PAGE) return rekeyPlan(rows, grants, instances);
  }
}
