import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import { parseArgs } from 'node:util';
import { type TrustAnchor, trustAnchorFromPem } from '@vouch/attestation';
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
import { z } from 'zod';
import { databaseConfigSchema } from '../auditor-config.js';
import { databaseError } from '../database/database-error.js';
import { EXIT_CODES } from './exit-codes.js';
import { replay } from './replay.js';
import { type ReplayReport, reportText } from './replay-report.js';
import { reportHtml } from './report-html.js';

const CONNECT_DEADLINE_MS = 10_000;
const PROGRESS_EVERY_MS = 1_000;

const replayConfigSchema = databaseConfigSchema.extend({
  /** PEM of a root other than Intel's that quotes may lead to: development only. */
  VOUCH_UNSAFE_TRUST_ANCHOR_FILE: z.string().optional(),
});

interface ReplayArguments {
  readonly json: boolean;
  readonly html: string | undefined;
  readonly from: number | undefined;
  readonly to: number | undefined;
  readonly atTime: Date | undefined;
}

const USAGE = `usage: replay [--json] [--html FILE] [--from N] [--to N] [--at-time TIME]
  --from, --to  first and last event to replay, 1 or more
  --at-time     replay the log as it was then, ISO 8601 such as 2026-01-31T12:00:00Z
  --html        write the report as one self-contained HTML file
`;

/**
 * `replay` (see USAGE): the report goes to `out`, progress and errors to `err`. Returns the exit code: 0 equal,
 * 1 misuse, 2 difference, 3 unavailable or interrupted.
 */
export async function replayCommand(args: readonly string[], out: Writable, err: Writable): Promise<number> {
  const parsed = readArguments(args);
  if (parsed === undefined) {
    err.write(USAGE);
    return EXIT_CODES.misuse;
  }
  const interrupt = new AbortController();
  const abort = () => interrupt.abort();
  process.once('SIGINT', abort).once('SIGTERM', abort);
  try {
    const report = await connectAndReplay(parsed, err, interrupt.signal);
    if (parsed.html !== undefined) {
      await writeFile(parsed.html, reportHtml(report, systemClock.now()));
      err.write(`report written to ${parsed.html}\n`);
    }
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
  const config = readConfig(commonConfigSchema.extend(replayConfigSchema.shape));
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
        directory,
        trustAnchors: trustAnchors(config.VOUCH_UNSAFE_TRUST_ANCHOR_FILE),
        ...(args.from === undefined ? {} : { from: args.from }),
        ...(args.to === undefined ? {} : { to: args.to }),
        ...(args.atTime === undefined ? {} : { atTime: args.atTime }),
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

/** The root a development fleet's quotes lead to, besides none: Intel's own is taken when there is no file. */
function trustAnchors(file: string | undefined): TrustAnchor[] {
  if (file === undefined) return [];
  try {
    return [trustAnchorFromPem(readFileSync(file, 'utf8'))];
  } catch (error) {
    throw new ConfigError([`VOUCH_UNSAFE_TRUST_ANCHOR_FILE: ${file}: ${asError(error).message}`]);
  }
}

function readArguments(args: readonly string[]): ReplayArguments | undefined {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        json: { type: 'boolean', default: false },
        html: { type: 'string' },
        from: { type: 'string' },
        to: { type: 'string' },
        'at-time': { type: 'string' },
      },
      strict: true,
    });
    const { json, html, from, to, 'at-time': time } = values;
    const isPosition = (text: string | undefined) => text === undefined || /^[1-9]\d{0,14}$/.test(text);
    const atTime = time === undefined ? undefined : new Date(time);
    if (!isPosition(from) || !isPosition(to) || Number.isNaN(atTime?.getTime() ?? 0)) return undefined;
    const position = (text: string | undefined) => (text === undefined ? undefined : Number(text));
    return { json, html, from: position(from), to: position(to), atTime };
  } catch {
    return undefined;
  }
}

/** A line at most once a second, and one at the end; with the time that is left, from the pace so far. */
function progressTo(err: Writable): (events: number, of: number) => void {
  const startedMs = systemClock.monotonicMs();
  let lastMs = startedMs;
  return (events, of) => {
    const nowMs = systemClock.monotonicMs();
    if (nowMs - lastMs < PROGRESS_EVERY_MS && events !== of) return;
    lastMs = nowMs;
    const perSecond = events / Math.max(0.001, (nowMs - startedMs) / 1000);
    const left = events === of ? '' : `, about ${Math.ceil((of - events) / perSecond)} s left`;
    err.write(`replayed ${events} of ${of} events, ${Math.round(perSecond)}/s${left}\n`);
  };
}
