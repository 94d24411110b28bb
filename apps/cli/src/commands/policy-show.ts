import { readAppPolicy, readKmsPolicy } from '@vouch/contracts';
import type { Context } from '../context.js';
import { type OutputForm, printOne } from '../output.js';
import { appIdOf, withChain } from './policy-target.js';

/** `vouch policy show <app>|kms`: every list and switch, read at one block, confirmed by the contract's getters. */
export async function showPolicy(context: Context, target: string, fromBlock: number, form: OutputForm): Promise<void> {
  const fields = await withChain(context, async ({ provider, kms }) => {
    if (target === 'kms') {
      const { block, ...state } = await readKmsPolicy(provider, kms, { fromBlock });
      return { contract: kms, ...state, ...at(block) };
    }
    const appId = await appIdOf(context, target);
    const { block, ...state } = await readAppPolicy(provider, kms, appId, { fromBlock });
    return { app: appId, ...state, ...at(block) };
  });
  printOne(fields, form);
}

function at({ number, hash, time }: { readonly number: number; readonly hash: string; readonly time: Date }) {
  return { block: number, blockHash: hash, blockTime: time.toISOString() };
}
