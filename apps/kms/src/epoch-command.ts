import { userInfo } from 'node:os';
import { parseArgs } from 'node:util';
import type { NatsConnection } from '@nats-io/transport-node';
import { connectBus, inboxPrefix, JetStreamEventStore } from '@vouch/eventstore';
import {
  ConfigError,
  commonConfigSchema,
  EventWriter,
  Metrics,
  readConfig,
  readKeyDirectory,
  readNatsSeed,
  systemClock,
} from '@vouch/platform';
import { readEpochConfig } from './config/kms-config.js';
import { eventAuthor } from './root/event-author.js';
import { changeKeyEpoch } from './root/key-epoch-commands.js';
import { KeyEpochLog } from './root/key-epoch-log.js';
import type { KeyEpochCommand } from './root/key-epochs.js';
import { keyProviderOf } from './root/key-provider-of.js';
import { Keyring } from './root/keyring.js';
import { rootStatement } from './root/public-statement.js';
import { createEpochRoot, type KmsRoot, loadRoots, openRootFile, type RootStore } from './root/root-files.js';

const HELP = 'epoch list | prepare | activate <n> | taint <n> --reason <text> | revoke <n> --reason <text>';

/**
 * `epoch …`: reads and changes key epochs, as the KMS itself: it needs the root files, what opens them, and the KMS's bus
 * user. There is no way to do this over the network. Answers one line of JSON. Throws ConfigError for wrong arguments.
 */
export async function epochCommand(args: readonly string[], env: NodeJS.ProcessEnv, now: Date): Promise<string> {
  const [verb = '', ...rest] = args;
  const command = verb === 'list' ? undefined : commandOf(verb, rest);
  const config = readEpochConfig(env);
  const store: RootStore = { dataDir: config.KMS_DATA_DIR, provider: await keyProviderOf(config) };
  const keyring = new Keyring(await loadRoots(store), (keyEpoch) => openRootFile(store, keyEpoch));
  let connection: NatsConnection | undefined;
  try {
    const bus = await openBus(env);
    connection = bus.connection;
    const log = new KeyEpochLog(config.KMS_ID, bus.store);
    let outcome: object = {};
    if (command !== undefined) {
      const writer = new EventWriter(bus.store, eventAuthor(keyring, config), systemClock, new Metrics());
      const rootOf = (keyEpoch: number, how: 'create' | 'open') => rootFor(store, keyring, keyEpoch, how, now);
      outcome = await changeKeyEpoch(command, {
        epochs: log,
        writer,
        rootOf,
        actor: `operator:${userInfo().username}`,
      });
    }
    const { epochs } = await log.read();
    const listed = epochs.map((entry) => ({ ...entry, ...statementOf(keyring.held(entry.keyEpoch)) }));
    return JSON.stringify({ kmsId: config.KMS_ID, provider: store.provider.name, ...outcome, epochs: listed });
  } finally {
    keyring.wipe();
    await connection?.close();
  }
}

async function rootFor(
  store: RootStore,
  keyring: Keyring,
  keyEpoch: number,
  how: 'create' | 'open',
  now: Date,
): Promise<KmsRoot> {
  if (how === 'create') (await createEpochRoot(store, keyEpoch, { domain: keyring.first.domain, now })).keys.wipe();
  return await keyring.root(keyEpoch);
}

async function openBus(env: NodeJS.ProcessEnv): Promise<{ connection: NatsConnection; store: JetStreamEventStore }> {
  const config = readConfig(commonConfigSchema, env);
  const directory = readKeyDirectory(config.VOUCH_TRUST_FILE);
  const user = { service: 'kms', node: '' } as const;
  const connection = await connectBus({
    servers: config.NATS_URL,
    seed: readNatsSeed(config.VOUCH_NATS_SEED_FILE),
    name: 'kms-epochs',
    inboxPrefix: inboxPrefix(user),
  });
  return { connection, store: new JetStreamEventStore({ connection, directory }) };
}

/** What is public of a root; an epoch without a file here says so. */
function statementOf(root: KmsRoot | undefined): object {
  return root === undefined ? { isHere: false } : { isHere: true, ...rootStatement(root) };
}

function commandOf(verb: string, args: readonly string[]): KeyEpochCommand {
  const { positionals, reason } = parsed(args);
  if (verb === 'prepare' && positionals.length === 0) return { type: 'PrepareKeyEpoch' };
  const keyEpoch = Number(positionals[0]);
  const isEpoch = positionals.length === 1 && Number.isSafeInteger(keyEpoch) && keyEpoch >= 0;
  if (verb === 'activate' && isEpoch) return { type: 'ActivateKeyEpoch', keyEpoch };
  if ((verb === 'taint' || verb === 'revoke') && isEpoch) {
    if (reason === undefined || reason.length > 500 || reason.trim() === '') {
      throw new ConfigError(['--reason: says why, in 1 to 500 characters; everybody can read it in the log']);
    }
    return { type: verb === 'taint' ? 'TaintKeyEpoch' : 'RevokeKeyEpoch', keyEpoch, reason };
  }
  throw new ConfigError([`usage: ${HELP}`]);
}

function parsed(args: readonly string[]): { positionals: string[]; reason: string | undefined } {
  try {
    const { positionals, values } = parseArgs({
      args: [...args],
      options: { reason: { type: 'string' } },
      allowPositionals: true,
    });
    return { positionals, reason: values.reason };
  } catch (error) {
    throw new ConfigError([(error as Error).message]);
  }
}
