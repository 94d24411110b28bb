import type { BaseContract, Signer } from 'ethers';
import { addressOf, appContract, kmsContract } from './abi.js';

/** Lets releases with this compose hash (32 bytes hex) of the app boot; waits until the change is in a block. */
export async function approveCompose(signer: Signer, appId: string, composeHash: string): Promise<void> {
  await send(appContract(appId, signer), 'addComposeHash', prefixed(composeHash));
}

export async function revokeCompose(signer: Signer, appId: string, composeHash: string): Promise<void> {
  await send(appContract(appId, signer), 'removeComposeHash', prefixed(composeHash));
}

/** Lets guests of this OS image (32 bytes hex) boot under `kms`. */
export async function approveOsImage(signer: Signer, kms: string, osImageHash: string): Promise<void> {
  await send(kmsContract(kms, signer), 'addOsImageHash', prefixed(osImageHash));
}

export async function revokeOsImage(signer: Signer, kms: string, osImageHash: string): Promise<void> {
  await send(kmsContract(kms, signer), 'removeOsImageHash', prefixed(osImageHash));
}

/** Registers an app contract that was deployed by other means. */
export async function registerApp(signer: Signer, kms: string, appId: string): Promise<void> {
  await send(kmsContract(kms, signer), 'registerApp', addressOf(appId));
}

async function send(contract: BaseContract, method: string, argument: string): Promise<void> {
  const transaction = await contract.getFunction(method)(argument);
  await transaction.wait();
}

function prefixed(hex: string): string {
  return hex.startsWith('0x') ? hex : `0x${hex}`;
}
