import type { Command } from 'commander';
import { readContext } from '../context.js';
import { misuse } from '../failure.js';
import { outputForm } from '../output.js';
import { applyEdit, composeEdit, deviceEdit, imageEdit } from './policy-change.js';
import { type DiffOptions, diffPolicy } from './policy-diff.js';
import { showPolicy } from './policy-show.js';

/** `vouch policy …`: what the contracts allow, what they would say to a release, and changes with the context's wallet. */
export function addPolicyCommands(program: Command): void {
  const policy = program.command('policy').description('show, try out and change who may boot');
  policy
    .command('show')
    .description('everything a contract allows, read at one block')
    .argument('<app>', 'app id or name, or "kms" for DstackKms itself')
    .option('--from-block <number>', 'read reports from this block on (that of the deployment, or before)', '0')
    .option('-o, --output <form>', 'table or json', 'table')
    .action(async (target: string, options: { fromBlock: string; output: string }) => {
      if (!/^\d{1,15}$/.test(options.fromBlock)) throw misuse(`--from-block ${options.fromBlock}: a block number`);
      await showPolicy(readContext(), target, Number(options.fromBlock), outputForm(options.output));
    });
  policy
    .command('diff')
    .description('what policy would say to this compose, image and device; exit code 5: it would be denied')
    .argument('<app>', 'app id or name')
    .argument('<compose>', 'app-compose.json, or its compose hash')
    .option('--image <hash>', 'OS image (default: that of the development stack)')
    .option('--device <hash>', 'device id')
    .option('--tcb <status>', 'TCB status', 'UpToDate')
    .option('-o, --output <form>', 'table or json', 'table')
    .action(async (app: string, compose: string, options: DiffOptions) => {
      process.exitCode = await diffPolicy(readContext(), app, compose, options, outputForm(options.output));
    });
  addChange(policy, 'allow', true);
  addChange(policy, 'deny', false);
}

function addChange(policy: Command, name: string, allow: boolean): void {
  const change = policy
    .command(name)
    .description(`${name} a compose hash, an OS image or a device, with the wallet of the context`);
  const form = ['-o, --output <form>', 'table or json', 'table'] as const;
  change
    .command('compose')
    .argument('<app>', 'app id or name')
    .argument('<compose>', 'compose hash, or app-compose.json')
    .option(...form)
    .action(async (app: string, compose: string, { output }: { output: string }) => {
      const context = readContext();
      await applyEdit(context, await composeEdit(context, app, compose, allow), allow, outputForm(output));
    });
  change
    .command('image')
    .argument('<hash>', 'OS image hash')
    .option(...form)
    .action(async (image: string, { output }: { output: string }) => {
      await applyEdit(readContext(), imageEdit(image, allow), allow, outputForm(output));
    });
  change
    .command('device')
    .argument('<app>', 'app id or name, or "kms"')
    .argument('<device>', 'device id; "any" for the switch of an app')
    .option(...form)
    .action(async (target: string, device: string, { output }: { output: string }) => {
      const context = readContext();
      await applyEdit(context, await deviceEdit(context, target, device, allow), allow, outputForm(output));
    });
}
