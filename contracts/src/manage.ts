import { type BaseContract, type ContractTransactionResponse, isError, type Signer } from 'ethers';
import { addressOf, appContract, kmsContract } from './abi.js';

/** A change that is in a block. Hex without 0x. */
export interface PolicyTransaction {
  /** 32 bytes. */
  readonly transaction: string;
  readonly block: number;
  readonly gasUsed: bigint;
}

/** Lets releases with this compose hash (32 bytes hex) of the app boot; waits until the change is in a block. */
export function approveCompose(signer: Signer, appId: string, composeHash: string): Promise<PolicyTransaction> {
  return send(appContract(appId, signer), 'addComposeHash', prefixed(composeHash));
}

export function revokeCompose(signer: Signer, appId: string, composeHash: string): Promise<PolicyTransaction> {
  return send(appContract(appId, signer), 'removeComposeHash', prefixed(composeHash));
}

/** Lets guests of this OS image (32 bytes hex) boot under `kms`. */
export function approveOsImage(signer: Signer, kms: string, osImageHash: string): Promise<PolicyTransaction> {
  return send(kmsContract(kms, signer), 'addOsImageHash', prefixed(osImageHash));
}

export function revokeOsImage(signer: Signer, kms: string, osImageHash: string): Promise<PolicyTransaction> {
  return send(kmsContract(kms, signer), 'removeOsImageHash', prefixed(osImageHash));
}

/** Lets the app boot on this device (32 bytes hex). */
export function approveDevice(signer: Signer, appId: string, deviceId: string): Promise<PolicyTransaction> {
  return send(appContract(appId, signer), 'addDevice', prefixed(deviceId));
}

export function revokeDevice(signer: Signer, appId: string, deviceId: string): Promise<PolicyTransaction> {
  return send(appContract(appId, signer), 'removeDevice', prefixed(deviceId));
}

/** Lets the app boot on any device, or only on those of its list. */
export function setAllowAnyDevice(signer: Signer, appId: string, isAllowed: boolean): Promise<PolicyTransaction> {
  return send(appContract(appId, signer), 'setAllowAnyDevice', isAllowed);
}

/** Lets key servers boot on this device (32 bytes hex). */
export function approveKmsDevice(signer: Signer, kms: string, deviceId: string): Promise<PolicyTransaction> {
  return send(kmsContract(kms, signer), 'addKmsDevice', prefixed(deviceId));
}

export function revokeKmsDevice(signer: Signer, kms: string, deviceId: string): Promise<PolicyTransaction> {
  return send(kmsContract(kms, signer), 'removeKmsDevice', prefixed(deviceId));
}

/** Registers an app contract that was deployed by other means. */
export function registerApp(signer: Signer, kms: string, appId: string): Promise<PolicyTransaction> {
  return send(kmsContract(kms, signer), 'registerApp', addressOf(appId));
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

async function send(contract: BaseContract, method: string, argument: string | boolean): Promise<PolicyTransaction> {
  try {
    const transaction = (await contract.getFunction(method)(argument)) as ContractTransactionResponse;
    const receipt = await transaction.wait();
    if (receipt === null) throw new TypeError(`transaction ${transaction.hash} has no receipt`);
    return { transaction: receipt.hash.slice(2), block: receipt.blockNumber, gasUsed: receipt.gasUsed };
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
