import { createReadStream, createWriteStream, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { trustAnchorFromPem } from '@vouch/attestation';
import { trustFileSchema } from '@vouch/domain';
import { auditDataSource } from '@vouch/migrations';
import { asError, ConfigError, readConfig, readKeyDirectory } from '@vouch/platform';
import { z } from 'zod';
import { databaseConfigSchema } from '../auditor-config.js';
import { databaseError } from '../database/database-error.js';
import { withSession } from '../database/sql-session.js';
import { EXIT_CODES } from '../replay/exit-codes.js';
import { exportBundle } from './export-bundle.js';
import { BundleRefusedError, verifyBundle } from './verify-bundle.js';

const exportConfigSchema = databaseConfigSchema.extend({ VOUCH_TRUST_FILE: z.string() });
const USAGE = 'usage: export FILE | verify FILE --trust FILE [--unsafe-trust-anchor FILE] [--json]\n';

/** `export FILE`: writes the bundle of everything signed so far. */
export async function exportCommand(args: readonly string[], err: Writable): Promise<number> {
  const [file] = args;
  if (file === undefined || args.length !== 1) {
    err.write(USAGE);
    return EXIT_CODES.misuse;
  }
  try {
    const config = readConfig(exportConfigSchema);
    const { trust } = readKeyDirectory(config.VOUCH_TRUST_FILE);
    const dataSource = auditDataSource({ url: config.DATABASE_URL, applicationName: 'vouch-export', poolSize: 2 });
    await dataSource.initialize().catch((error: unknown) => {
      throw databaseError(error);
    });
    try {
      const out = createWriteStream(file, { mode: 0o600 });
      const events = await withSession(dataSource, (session) => exportBundle(session, trust, out));
      out.end();
      await finished(out);
      err.write(
        events === 0 ? 'nothing is signed yet: the bundle is empty\n' : `${events} events written to ${file}\n`,
      );
      return events === 0 ? EXIT_CODES.unavailable : EXIT_CODES.equal;
    } finally {
      await dataSource.destroy();
    }
  } catch (error) {
    err.write(`vouch auditor export: ${asError(error).message}\n`);
    return error instanceof ConfigError ? EXIT_CODES.misuse : EXIT_CODES.unavailable;
  }
}

/** `verify FILE --trust FILE`: needs no network, no database and no configuration. */
export async function verifyBundleCommand(args: readonly string[], out: Writable, err: Writable): Promise<number> {
  const parsed = readArguments(args);
  if (parsed === undefined) {
    err.write(USAGE);
    return EXIT_CODES.misuse;
  }
  try {
    const trust = trustFileSchema.parse(JSON.parse(readFileSync(parsed.trust, 'utf8')));
    const trustAnchors = parsed.anchor === undefined ? [] : [trustAnchorFromPem(readFileSync(parsed.anchor, 'utf8'))];
    const lines = createInterface({ input: createReadStream(parsed.file), crlfDelay: Number.POSITIVE_INFINITY });
    const report = await verifyBundle(lines, { trust, trustAnchors });
    const { events, checkpoints, root, grants } = report;
    const { decided, confirmed, skipped, listed } = grants;
    out.write(
      parsed.json
        ? `${JSON.stringify({ ok: true, ...report })}\n`
        : `pass    authors and order: ${events} events\npass    checkpoints: ${checkpoints} signatures and roots\n${
            skipped === 0 ? 'pass   ' : 'skipped'
          } grants: ${confirmed} of ${decided} verified again${
            skipped === 0 ? '' : `; ${skipped} not: ${listed.find(({ verdict }) => verdict === 'skipped')?.reason}`
          }\nverified: ${events} events, root ${root}\n`,
    );
    return EXIT_CODES.equal;
  } catch (error) {
    if (!(error instanceof BundleRefusedError)) {
      err.write(`vouch auditor verify: ${asError(error).message}\n`);
      return EXIT_CODES.misuse;
    }
    if (parsed.json) out.write(`${JSON.stringify({ ok: false, step: error.step, detail: error.message })}\n`);
    err.write(`refused at ${error.message}\n`);
    return EXIT_CODES.difference;
  }
}

function readArguments(args: readonly string[]) {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      options: {
        trust: { type: 'string' },
        'unsafe-trust-anchor': { type: 'string' },
        json: { type: 'boolean', default: false },
      },
      allowPositionals: true,
      strict: true,
    });
    const [file, ...more] = positionals;
    const { trust, json, 'unsafe-trust-anchor': anchor } = values;
    return file === undefined || more.length > 0 || trust === undefined ? undefined : { file, trust, json, anchor };
  } catch {
    return undefined;
  }
}
