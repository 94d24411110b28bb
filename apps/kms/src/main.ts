import 'reflect-metadata';
import { ConfigError, EXIT, runService } from '@vouch/platform';
import { bootstrap } from './bootstrap-command.js';
import { KmsModule } from './kms.module.js';
import { Readiness } from './readiness.js';

const [command, ...args] = process.argv.slice(2);
if (command === undefined) {
  await runService(KmsModule, { service: 'kms', started: (app) => app.get(Readiness).start() });
} else if (command === 'bootstrap') {
  try {
    process.stdout.write(`${await bootstrap(args, process.env, new Date())}\n`);
  } catch (error) {
    process.stderr.write(`vouch kms bootstrap: ${(error as Error).message}\n`);
    process.exitCode = error instanceof ConfigError ? EXIT.config : 1;
  }
} else {
  process.stderr.write(`vouch kms: unknown command ${command}; there is "bootstrap --domain <name>"\n`);
  process.exitCode = EXIT.config;
}
