import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { misuse } from './failure.js';

/**
 * What the CLI needs to reach a fleet. `vouch up` writes it as `context.json` (mode 0600, it holds a token) into the data
 * folder; an operator of a remote fleet writes one by hand and names it with VOUCH_CONTEXT.
 */
const contextSchema = z.strictObject({
  apiUrl: z.url(),
  apiToken: z.string().min(16),
  gateway: z.strictObject({ host: z.string(), port: z.number().int(), baseDomain: z.string() }),
  /** PEM of the CA that signed the gateway's certificate, when it is not a public one. */
  caFile: z.string().optional(),
  log: z.strictObject({ origin: z.string(), publicKey: z.string() }),
  /** Where receipts and checkpoints are served, and the trust file that says whose signatures count (for `vouch verify`). */
  auditUrl: z.url().optional(),
  trustFile: z.string().optional(),
  /** PEM of a root other than Intel's: development only. */
  unsafeTrustAnchorFile: z.string().optional(),
  /** Chain access for policy changes; without a wallet the CLI can only read. */
  chain: z
    .strictObject({
      rpcUrl: z.url(),
      kmsContract: z.string().regex(/^0x[0-9a-fA-F]{40}$/),
      walletKeyFile: z.string().optional(),
    })
    .optional(),
  /** Where `vouch audit replay` reaches the log and the database. */
  audit: z.strictObject({ environmentFile: z.string() }).optional(),
  /** On the machine of a KMS: the settings its offline commands (`vouch kms …`) run with. */
  kms: z.strictObject({ environmentFile: z.string() }).optional(),
});

export type Context = z.infer<typeof contextSchema>;

/** Folder that holds package.json of the project the CLI runs from. */
export const projectRoot = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');

/** The data folder: VOUCH_DATA, else `.vouch` in the project folder. */
export function dataFolder(): string {
  return resolve(process.env.VOUCH_DATA ?? join(projectRoot, '.vouch'));
}

/** Reads the context; a missing or broken file is a misuse that says which file and what to run. */
export function readContext(): Context {
  const path = process.env.VOUCH_CONTEXT ?? join(dataFolder(), 'context.json');
  if (!existsSync(path))
    throw misuse(`no fleet is known here: ${path} does not exist`, 'run `vouch up`, or set VOUCH_CONTEXT');
  if ((statSync(path).mode & 0o077) !== 0)
    throw misuse(`${path} can be read by others and holds a token`, `run: chmod 600 ${path}`);
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    throw misuse(`${path} is not JSON`, 'run `vouch up` again, or mend the file');
  }
  const parsed = contextSchema.safeParse(json);
  if (!parsed.success) throw misuse(`${path}: ${z.prettifyError(parsed.error)}`);
  return parsed.data;
}
