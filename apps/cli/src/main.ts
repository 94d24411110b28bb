import { Command, CommanderError } from 'commander';
import { addAuditCommands } from './commands/audit.js';
import { addDeployCommand } from './commands/deploy.js';
import { addFleetCommands } from './commands/fleet.js';
import { addKmsCommands } from './commands/kms.js';
import { addPolicyCommands } from './commands/policy.js';
import { addStackCommands } from './commands/stack.js';
import { addStatusCommand } from './commands/status.js';
import { addDownCommand, addUpCommand } from './commands/up.js';
import { addVerifyCommand } from './commands/verify.js';
import { CliFailure, exitCodes } from './failure.js';

const program = new Command('vouch')
  .description('Run apps in attested confidential VMs, on many hosts, with every key release provable.')
  .version('0.1.0')
  .showHelpAfterError('(see vouch --help)')
  .exitOverride()
  .addHelpText(
    'after',
    '\nExit codes: 0 ok, 1 misuse, 2 bad evidence or a difference, 3 unavailable, 4 conflict or failed, 5 denied by policy, 6 still running\nEnvironment: VOUCH_DATA (data folder), VOUCH_CONTEXT (context file of another fleet)',
  );
addUpCommand(program);
addDownCommand(program);
addStatusCommand(program);
addDeployCommand(program);
addFleetCommands(program);
addVerifyCommand(program);
addAuditCommands(program);
addKmsCommands(program);
addPolicyCommands(program);
addStackCommands(program);

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

/** One error, one or two lines: what is wrong and what to do. A stack trace only for a bug. */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : exitCodes.misuse;
  if (error instanceof CliFailure) {
    process.stderr.write(`vouch: ${error.message}\n${error.nextStep === '' ? '' : `  ${error.nextStep}\n`}`);
    return error.exitCode;
  }
  if (isExpected(error)) {
    process.stderr.write(`vouch: ${error.message}\n`);
    return exitCodes.network;
  }
  process.stderr.write(
    `vouch: unexpected: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
  );
  return exitCodes.network;
}

/** Errors of our libraries carry a stable code and a message written for people. */
function isExpected(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && 'retryable' in error;
}
