import { readFileSync } from 'node:fs';
import { composeHashOf } from '@vouch/domain';
import { isError } from 'ethers';
import { ApiClient } from '../api-client.js';
import type { Context } from '../context.js';
import { CliFailure, exitCodes, misuse } from '../failure.js';
import { type OpenChain, openChain } from '../stack/policy-chain.js';
import type { AppRow } from './fleet-types.js';

/** App id of `app`: an id as it is, else the registered app with that name. */
export async function appIdOf(context: Context, app: string): Promise<string> {
  const bare = app.replace(/^0x/, '').toLowerCase();
  if (/^[0-9a-f]{40}$/.test(bare)) return bare;
  const { items } = await new ApiClient(context).get<{ items: AppRow[] }>('/v1/apps');
  const found = items.filter(({ name }) => name === app);
  const [only] = found;
  if (only === undefined) throw misuse(`no app ${app} is registered`, 'see: vouch ls apps');
  if (found.length > 1) throw misuse(`${found.length} apps are named ${app}`, 'give the app id: vouch ls apps -o wide');
  return only.appId;
}

/** 64 hex digits of a hash. */
export function hashOf(what: string, text: string): string {
  const bare = text.replace(/^0x/, '').toLowerCase();
  if (!/^[0-9a-f]{64}$/.test(bare)) throw misuse(`${what} ${text}: 32 bytes in hex (64 digits) are required`);
  return bare;
}

/** A compose hash as given, or of the file's exact bytes. */
export function composeHashFrom(hashOrFile: string): string {
  if (/^(0x)?[0-9a-fA-F]{64}$/.test(hashOrFile)) return hashOf('compose', hashOrFile);
  try {
    return composeHashOf(readFileSync(hashOrFile));
  } catch (cause) {
    throw misuse(
      `${hashOrFile} is neither a compose hash nor a file that can be read (${(cause as NodeJS.ErrnoException).code})`,
    );
  }
}

/** Opens the chain of the context for `use`. A chain that does not answer is a network failure that names its host. */
export async function withChain<T>(context: Context, use: (chain: OpenChain) => Promise<T>): Promise<T> {
  const chain = openChain(context);
  try {
    return await use(chain);
  } catch (error) {
    throw chainFailure(context, error);
  } finally {
    chain.provider.destroy();
  }
}

function chainFailure(context: Context, error: unknown): unknown {
  const { code, shortMessage } = error as { code?: string; shortMessage?: string };
  if (isError(error, 'INSUFFICIENT_FUNDS')) {
    return new CliFailure(
      exitCodes.conflict,
      'the wallet cannot pay for the transaction',
      'fund it and run this again',
    );
  }
  const isAway = code === 'ECONNREFUSED' || isError(error, 'TIMEOUT') || isError(error, 'SERVER_ERROR');
  if (!isAway) return error;
  const host = new URL(context.chain?.rpcUrl ?? 'http://unknown').host;
  return new CliFailure(exitCodes.network, `the chain at ${host} does not answer: ${shortMessage ?? code}`);
}
