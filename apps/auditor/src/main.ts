import 'reflect-metadata';
import { ConfigError, runService } from '@vouch/platform';
import { AuditorModule } from './auditor.module.js';
import { exportCommand, verifyBundleCommand } from './bundle/bundle-command.js';
import { databaseError } from './database/database-error.js';
import { migrate } from './migrate.js';
import { ProjectionRunner } from './projection-runner.js';
import { EXIT_CODES } from './replay/exit-codes.js';
import { replayCommand } from './replay/replay-command.js';

const USAGE = `usage: main.js                          project, sign and serve the log
       main.js migrate                  create or update the tables and the read-only role
       main.js replay [...]             rebuild everything from the log and compare; see replay --help
       main.js export FILE              write everything signed so far into one file
       main.js verify FILE --trust FILE verify such a file, with no access to anything
`;

/** Runs the `migrate` step as a command. Errors are one line without the statement, which may hold a secret. */
async function migrateCommand(): Promise<number> {
  try {
    process.stdout.write(`${await migrate()}\n`);
    return EXIT_CODES.equal;
  } catch (error) {
    const isConfig = error instanceof ConfigError;
    process.stderr.write(`vouch auditor migrate: ${isConfig ? error.message : databaseError(error).message}\n`);
    return isConfig ? EXIT_CODES.misuse : EXIT_CODES.unavailable;
  }
}

const [command, ...rest] = process.argv.slice(2);
switch (command) {
  case undefined:
    await runService(AuditorModule, {
      service: 'auditor',
      healthListenerPaths: (app) => (request, response) =>
        app.getHttpAdapter().getInstance().routing(request, response),
      started: async (app) => {
        await app.getHttpAdapter().getInstance().ready();
        await app.get(ProjectionRunner).start();
      },
      stopping: (app) => app.get(ProjectionRunner).stop(),
    });
    break;
  case 'migrate':
    process.exitCode = rest.length === 0 ? await migrateCommand() : misuse();
    break;
  case 'replay':
    process.exitCode = await replayCommand(rest, process.stdout, process.stderr);
    break;
  case 'export':
    process.exitCode = await exportCommand(rest, process.stderr);
    break;
  case 'verify':
    process.exitCode = await verifyBundleCommand(rest, process.stdout, process.stderr);
    break;
  default:
    process.exitCode = misuse();
}

function misuse(): number {
  process.stderr.write(USAGE);
  return EXIT_CODES.misuse;
}
