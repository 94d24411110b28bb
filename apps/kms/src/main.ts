import 'reflect-metadata';
import { preferNativeK256 } from '@vouch/keys';
import { ConfigError, EXIT, runService } from '@vouch/platform';
import { bootstrap } from './bootstrap-command.js';
import { PolicyFollower } from './chain/policy-follower.js';
import { DstackWire } from './dstack-wire/index.js';
import { epochCommand } from './epoch-command.js';
import { KmsModule } from './kms.module.js';
import { Readiness } from './readiness.js';
import { sharesCommand } from './shares-command.js';

const COMMANDS = { bootstrap, epoch: epochCommand, shares: sharesCommand } as const;

const [name, ...args] = process.argv.slice(2);
preferNativeK256();
if (name === undefined) {
  await runService(KmsModule, {
    service: 'kms',
    started: async (app) => {
      app.get(Readiness).start();
      app.get(PolicyFollower).start();
      await app.get(DstackWire).start();
    },
    stopping: (app) => app.get(DstackWire).stop(),
  });
} else if (Object.hasOwn(COMMANDS, name)) {
  try {
    process.stdout.write(`${await COMMANDS[name as keyof typeof COMMANDS](args, process.env, new Date())}\n`);
  } catch (error) {
    process.stderr.write(`vouch kms ${name}: ${(error as Error).message}\n`);
    process.exitCode = error instanceof ConfigError ? EXIT.config : 1;
  }
} else {
  process.stderr.write(`vouch kms: unknown command ${name}; there are ${Object.keys(COMMANDS).join(', ')}\n`);
  process.exitCode = EXIT.config;
}
