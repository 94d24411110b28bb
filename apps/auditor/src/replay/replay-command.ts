import type { Writable } from 'node:stream';
import { parseArgs } from 'node:util';
import { ed25519PublicKey } from '@vouch/domain';
import { JetStreamEventStore } from '@vouch/eventstore';
import { auditDataSource } from '@vouch/migrations';
import {
  asError,
  ConfigError,
  commonConfigSchema,
  connectNats,
  readConfig,
  readKeyDirectory,
  readNatsSeed,
  ServiceState,
  systemClock,
} from '@vouch/platform';
import { databaseConfigSchema } from '../auditor-config.js';
import { databaseError } from '../database/database-error.js';
import { EXIT_CODES } from './exit-codes.js';
import { replay } from './replay.js';
import { type ReplayReport, reportText } from './replay-report.js';

const CONNECT_DEADLINE_MS = 10_000;
const PROGRESS_EVERY_MS = 1_000;

interface ReplayArguments {
  readonly json: boolean;
  readonly to: number | undefined;
}

/**
 * `replay [--json] [--to N]`: the report goes to `out`, progress and errors to `err`. Returns the exit code: 0 equal,
 * 1 misuse, 2 difference, 3 unavailable or interrupted.
 */
export async function replayCommand(args: readonly string[], out: Writable, err: Writable): Promise<number> {
  const parsed = readArguments(args);
  if (parsed === undefined) {
    err.write('usage: replay [--json] [--to N]   (N: last event to replay, 1 or more)\n');
    return EXIT_CODES.misuse;
  }
  const interrupt = new AbortController();
  const abort = () => interrupt.abort();
  process.once('SIGINT', abort).once('SIGTERM', abort);
  try {
    const report = await connectAndReplay(parsed, err, interrupt.signal);
    out.write(parsed.json ? `${JSON.stringify(report)}\n` : reportText(report));
    return report.equal ? EXIT_CODES.equal : EXIT_CODES.difference;
  } catch (error) {
    err.write(`vouch auditor replay: ${asError(error).message}\n`);
    return error instanceof ConfigError ? EXIT_CODES.misuse : EXIT_CODES.unavailable;
  } finally {
    process.off('SIGINT', abort).off('SIGTERM', abort);
  }
}

async function connectAndReplay(args: ReplayArguments, err: Writable, signal: AbortSignal): Promise<ReplayReport> {
  const config = readConfig(commonConfigSchema.extend(databaseConfigSchema.shape));
  const directory = readKeyDirectory(config.VOUCH_TRUST_FILE);
  const { origin, publicKey } = directory.trust.log;
  const identity = {
    servers: config.NATS_URL,
    seed: readNatsSeed(config.VOUCH_NATS_SEED_FILE),
    service: 'auditor',
    node: '',
  } as const;
  const connection = await connectNats(identity, new ServiceState(), CONNECT_DEADLINE_MS);
  try {
    const databaseUrl = config.DATABASE_URL;
    const live = auditDataSource({ url: databaseUrl, applicationName: 'vouch-replay', poolSize: 3 });
    await live.initialize().catch((error: unknown) => {
      throw databaseError(error);
    });
    try {
      return await replay({
        store: new JetStreamEventStore({ connection, directory }),
        live,
        databaseUrl,
        verifier: { origin, publicKey: ed25519PublicKey(publicKey) },
        ...(args.to === undefined ? {} : { to: args.to }),
        onProgress: progressTo(err),
        signal,
        clock: systemClock,
      });
    } finally {
      await live.destroy();
    }
  } finally {
    await connection.close();
  }
}

function readArguments(args: readonly string[]): ReplayArguments | undefined {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: { json: { type: 'boolean', default: false }, to: { type: 'string' } },
      strict: true,
    });
    const { json, to } = values;
    if (to !== undefined && !/^[1-9]\d{0,14}$/.test(to)) return undefined;
    return { json, to: to === undefined ? undefined : Number(to) };
  } catch {
    return undefined;
  }
}

/** A line at most once a second, and one at the end. */
function progressTo(err: Writable): (events: number, of: number) => void {
  let lastMs = systemClock.monotonicMs();
  return (events, of) => {
    const nowMs = systemClock.monotonicMs();
    if (nowMs - lastMs < PROGRESS_EVERY_MS && events !== of) return;
    lastMs = nowMs;
    err.write(`replayed ${events} of ${of} events\n`);
  };
}
