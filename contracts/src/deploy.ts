import { ContractFactory, Interface, type Signer, ZeroHash } from 'ethers';
import { addressOf, dstackKmsAbi, kmsContract } from './abi.js';
import { type CompiledContract, compileContracts } from './compile.js';

/** Addresses are 40 lower-case hex digits without 0x, as in events. */
export interface KmsDeployment {
  /** The DstackKms proxy: what services are configured with. */
  readonly kms: string;
  readonly kmsImplementation: string;
  readonly appImplementation: string;
  readonly chainId: number;
}

/**
 * Deploys both implementations and the DstackKms proxy, owned by `signer` unless `owner` says otherwise. Four
 * transactions; each is waited for. Throws what the node or CompileFailedError throws.
 */
export async function deployKms(signer: Signer, options: { owner?: string } = {}): Promise<KmsDeployment> {
  const contracts = await compileContracts();
  const owner = addressOf(options.owner ?? (await signer.getAddress()));
  const appImplementation = await create(signer, contracts.DstackApp, []);
  const kmsImplementation = await create(signer, contracts.DstackKms, []);
  const initialise = dstackKmsAbi.encodeFunctionData('initialize', [owner, appImplementation]);
  const kms = await create(signer, contracts.ERC1967Proxy, [kmsImplementation, initialise]);
  const network = await signer.provider?.getNetwork();
  if (network === undefined) throw new TypeError('the signer has no provider');
  return {
    kms: bare(kms),
    kmsImplementation: bare(kmsImplementation),
    appImplementation: bare(appImplementation),
    chainId: Number(network.chainId),
  };
}

/** Deploys one implementation, which no proxy uses yet. Returns its address (40 hex digits). */
export async function deployImplementation(signer: Signer, name: 'DstackKms' | 'DstackApp'): Promise<string> {
  return bare(await create(signer, (await compileContracts())[name], []));
}

export interface AppOptions {
  /** First allowed compose hash, 32 bytes hex; absent: none is allowed until added. */
  readonly composeHash?: string;
  /** First allowed device, 32 bytes hex. */
  readonly deviceId?: string;
  readonly allowAnyDevice: boolean;
  readonly requireTcbUpToDate?: boolean;
  readonly disableUpgrades?: boolean;
  /** Address that owns the app's policy; the signer when absent. */
  readonly owner?: string;
}

/** Deploys an app's policy through the factory of `kms` and registers it. Returns the app id (40 hex digits). */
export async function deployApp(signer: Signer, kms: string, options: AppOptions): Promise<string> {
  const owner = addressOf(options.owner ?? (await signer.getAddress()));
  const contract = kmsContract(kms, signer);
  const deploy = contract.getFunction('deployAndRegisterApp(address,bool,bool,bool,bytes32,bytes32)');
  const transaction = await deploy(
    owner,
    options.disableUpgrades ?? false,
    options.requireTcbUpToDate ?? false,
    options.allowAnyDevice,
    word(options.deviceId),
    word(options.composeHash),
  );
  const receipt = await transaction.wait();
  for (const log of receipt.logs) {
    const parsed = dstackKmsAbi.parseLog(log);
    if (parsed?.name === 'AppDeployedViaFactory') return bare(String(parsed.args[0]));
  }
  throw new TypeError(`transaction ${receipt.hash} deployed no app`);
}

/** 0x form of 32 bytes hex; zero when absent, which the contract skips. */
function word(hex: string | undefined): string {
  if (hex === undefined) return ZeroHash;
  const digits = hex.startsWith('0x') ? hex.slice(2) : hex;
  if (!/^[0-9a-f]{64}$/.test(digits)) throw new TypeError(`${JSON.stringify(hex)} is not 32 bytes of hex`);
  return `0x${digits}`;
}

async function create(signer: Signer, compiled: CompiledContract, args: readonly unknown[]): Promise<string> {
  const abi = Interface.from(JSON.stringify(compiled.abi));
  const contract = await new ContractFactory(abi, compiled.bytecode, signer).deploy(...args);
  await contract.waitForDeployment();
  return contract.getAddress();
}

function bare(address: string): string {
  return addressOf(address).slice(2);
}
