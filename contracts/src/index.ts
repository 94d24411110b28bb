/**
 * The policy contracts of dstack in our own Solidity, byte-compatible in ABI, selectors, events, revert strings, decision
 * order and storage layout (dstack-kms §16), and what a Node program needs to build, deploy, manage and read them. The
 * invariant it keeps: a boot decision is read at one block, named by its hash, so that anyone can ask the chain again.
 */
export { appContract, dstackAppAbi, dstackKmsAbi, kmsContract } from './abi.js';
export { type BootInfo, type BootPolicy, PolicyUnavailableError, readBootPolicy } from './boot-policy.js';
export {
  type CompiledContract,
  type CompiledContracts,
  CompileFailedError,
  type ContractName,
  compileContracts,
} from './compile.js';
export { type AppOptions, deployApp, deployKms, type KmsDeployment } from './deploy.js';
export {
  approveCompose,
  approveOsImage,
  PolicyChangeRefusedError,
  registerApp,
  revokeCompose,
  revokeOsImage,
} from './manage.js';
export { jsonRpcProvider, privateKeySigner } from './provider.js';
