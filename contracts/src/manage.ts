import { type BaseContract, isError, type Signer } from 'ethers';
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

/** The contract refused a change, for example because the signer is not its owner. */
export class PolicyChangeRefusedError extends Error {
  readonly code = 'policy-change-refused';
  readonly retryable = false;
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'PolicyChangeRefusedError';
  }
}

async function send(contract: BaseContract, method: string, argument: string): Promise<void> {
  try {
    const transaction = await contract.getFunction(method)(argument);
    await transaction.wait();
  } catch (cause) {
    if (!isError(cause, 'CALL_EXCEPTION')) throw cause;
    const decoded = cause.data === null ? null : contract.interface.parseError(cause.data);
    const reason = cause.reason ?? (decoded === null ? cause.shortMessage : `${decoded.name}(${decoded.args.join()})`);
    throw new PolicyChangeRefusedError(`${method} was refused: ${reason}`, { cause });
  }
}

function prefixed(hex: string): string {
  return hex.startsWith('0x') ? hex : `0x${hex}`;
}
