import {
  appContract,
  approveCompose,
  approveDevice,
  approveKmsDevice,
  approveOsImage,
  kmsContract,
  PolicyChangeRefusedError,
  type PolicyTransaction,
  revokeCompose,
  revokeDevice,
  revokeKmsDevice,
  revokeOsImage,
  setAllowAnyDevice,
} from '@vouch/contracts';
import type { Context } from '../context.js';
import { CliFailure, exitCodes } from '../failure.js';
import { note, type OutputForm, print } from '../output.js';
import type { OpenChain } from '../stack/policy-chain.js';
import { appIdOf, composeHashFrom, hashOf, withChain } from './policy-target.js';

/** One wish: what shall be allowed (or not), how to see whether it already is, and the transaction that does it. */
interface Edit {
  readonly what: string;
  readonly isAllowed: (chain: OpenChain) => Promise<boolean>;
  readonly apply: (chain: OpenChain) => Promise<PolicyTransaction>;
}

/** `vouch policy allow|deny compose <app> <hash or file>`. */
export async function composeEdit(context: Context, app: string, compose: string, allow: boolean): Promise<Edit> {
  const hash = composeHashFrom(compose);
  const appId = await appIdOf(context, app);
  return {
    what: `compose hash ${hash} of app ${appId}`,
    isAllowed: ({ provider }) => flag(appContract(appId, provider), 'allowedComposeHashes', hash),
    apply: ({ signer }) => (allow ? approveCompose : revokeCompose)(signer(), appId, hash),
  };
}

/** `vouch policy allow|deny image <hash>`. */
export function imageEdit(image: string, allow: boolean): Edit {
  const hash = hashOf('image', image);
  return {
    what: `OS image ${hash}`,
    isAllowed: ({ provider, kms }) => flag(kmsContract(kms, provider), 'allowedOsImages', hash),
    apply: ({ signer, kms }) => (allow ? approveOsImage : revokeOsImage)(signer(), kms, hash),
  };
}

/** `vouch policy allow|deny device <app>|kms <device>|any`. */
export async function deviceEdit(context: Context, target: string, device: string, allow: boolean): Promise<Edit> {
  if (target === 'kms') {
    const hash = hashOf('device', device);
    return {
      what: `device ${hash} for key servers`,
      isAllowed: ({ provider, kms }) => flag(kmsContract(kms, provider), 'kmsAllowedDeviceIds', hash),
      apply: ({ signer, kms }) => (allow ? approveKmsDevice : revokeKmsDevice)(signer(), kms, hash),
    };
  }
  const hash = device === 'any' ? device : hashOf('device', device);
  const appId = await appIdOf(context, target);
  if (hash === 'any') {
    return {
      what: `any device for app ${appId}`,
      isAllowed: ({ provider }) => flag(appContract(appId, provider), 'allowAnyDevice'),
      apply: ({ signer }) => setAllowAnyDevice(signer(), appId, allow),
    };
  }
  return {
    what: `device ${hash} for app ${appId}`,
    isAllowed: ({ provider }) => flag(appContract(appId, provider), 'allowedDeviceIds', hash),
    apply: ({ signer }) => (allow ? approveDevice : revokeDevice)(signer(), appId, hash),
  };
}

/** Carries the wish out and prints the transaction; nothing is sent when it is so already. */
export async function applyEdit(context: Context, edit: Edit, allow: boolean, form: OutputForm): Promise<void> {
  await withChain(context, async (chain) => {
    const word = allow ? 'allowed' : 'denied';
    const isSo = (await edit.isAllowed(chain)) === allow;
    const done = isSo ? null : await applied(edit, chain);
    if (form === 'json') {
      const { transaction, block, gasUsed } = done ?? { transaction: null, block: null, gasUsed: null };
      const gas = gasUsed === null ? null : Number(gasUsed);
      print(
        JSON.stringify({ what: edit.what, state: word, changed: !isSo, transaction, block, gasUsed: gas }, null, 2),
      );
    } else if (done === null) print(`${edit.what} was ${word} already`);
    else {
      print(`0x${done.transaction}`);
      note(`${edit.what} is ${word} since block ${done.block} (${done.gasUsed} gas)`);
    }
  });
}

async function applied(edit: Edit, chain: OpenChain): Promise<PolicyTransaction> {
  try {
    return await edit.apply(chain);
  } catch (error) {
    if (!(error instanceof PolicyChangeRefusedError)) throw error;
    throw new CliFailure(exitCodes.denied, error.message, 'only the owner of the contract can change it', {
      cause: error,
    });
  }
}

async function flag(
  contract: ReturnType<typeof appContract>,
  getter: string,
  ...hash: readonly string[]
): Promise<boolean> {
  return (await contract.getFunction(getter)(...hash.map((hex) => `0x${hex}`))) === true;
}
