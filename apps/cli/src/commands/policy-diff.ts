import { join } from 'node:path';
import { type BootInfo, readAppPolicy, readBootPolicy, readKmsPolicy } from '@vouch/contracts';
import { type Context, dataFolder } from '../context.js';
import { exitCodes, misuse } from '../failure.js';
import { type OutputForm, print } from '../output.js';
import { readState } from '../stack/state.js';
import { appIdOf, composeHashFrom, hashOf, withChain } from './policy-target.js';

export interface DiffOptions {
  readonly image?: string;
  readonly device?: string;
  readonly tcb: string;
  readonly output: string;
}

/** One rule of the policy, whether this boot satisfies it, and the command that would make it so. */
interface Rule {
  readonly rule: string;
  readonly holds: boolean;
  readonly found: string;
  readonly change: string;
}

const NO_DEVICE = '00'.repeat(32);

/**
 * `vouch policy diff <app> <compose>`: what the policy would say to this compose, image and device, asked of the contract
 * itself, and which rules stand in the way. Answers the exit code: 5 when it would be denied.
 */
export async function diffPolicy(
  context: Context,
  app: string,
  compose: string,
  options: DiffOptions,
  form: OutputForm,
): Promise<number> {
  const composeHash = composeHashFrom(compose);
  const osImageHash = imageOf(options.image);
  const deviceId = options.device === undefined ? NO_DEVICE : hashOf('--device', options.device);
  const appId = await appIdOf(context, app);
  const info: BootInfo = {
    ...{ teeVariant: 'dstack-tdx', appId, composeHash, instanceId: '', deviceId, osImageHash, keyProviderInfo: '' },
    ...{ mrAggregated: NO_DEVICE, mrSystem: NO_DEVICE, tcbStatus: options.tcb, advisoryIds: [] },
  };
  return await withChain(context, async ({ provider, kms }) => {
    const decision = await readBootPolicy(provider, kms, info);
    const blockTag = decision.block.number;
    const { osImages } = await readKmsPolicy(provider, kms, { blockTag });
    const state = await readAppPolicy(provider, kms, appId, { blockTag });
    const rules: Rule[] = [
      rule('app registered', state.isRegistered, appId, 'register it with DstackKms'),
      rule('image allowed', osImages.includes(osImageHash), osImageHash, `vouch policy allow image ${osImageHash}`),
      rule('tcb status', !state.requireTcbUpToDate || options.tcb === 'UpToDate', options.tcb, 'update the host'),
      rule(
        'compose allowed',
        state.composeHashes.includes(composeHash),
        composeHash,
        `vouch policy allow compose ${app} ${composeHash}`,
      ),
      rule(
        'device allowed',
        state.allowAnyDevice || state.devices.includes(deviceId),
        options.device === undefined ? '(none given)' : deviceId,
        `vouch policy allow device ${app} ${options.device === undefined ? '<device>' : deviceId}`,
      ),
    ];
    const { isAllowed, reason, chainId, block } = decision;
    if (form === 'json') {
      const at = { chainId, block: block.number, blockHash: block.hash, blockTime: block.time.toISOString() };
      print(
        JSON.stringify({ app: appId, composeHash, osImageHash, deviceId, isAllowed, reason, ...at, rules }, null, 2),
      );
    } else {
      for (const { rule: name, holds, found, change } of rules)
        print(`${holds ? 'ok  ' : 'FAIL'} ${name.padEnd(16)} ${found}${holds ? '' : `\n     -> ${change}`}`);
      print(`${isAllowed ? 'allowed' : `denied: ${reason}`} at block ${block.number} of chain ${chainId}`);
    }
    return isAllowed ? exitCodes.ok : exitCodes.denied;
  });
}

function rule(name: string, holds: boolean, found: string, change: string): Rule {
  return { rule: name, holds, found, change: holds ? '' : change };
}

/** The image as given, else that of the development stack in the data folder. */
function imageOf(given: string | undefined): string {
  if (given !== undefined) return hashOf('--image', given);
  const image = readState({ stateFile: join(dataFolder(), 'state.json') })?.osImageHash ?? '';
  if (image === '') throw misuse('no OS image is named', 'give one: --image <hash>');
  return image;
}
