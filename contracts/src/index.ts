/**
 * The policy contracts of dstack in our own Solidity, byte-compatible in ABI, selectors, events, revert strings, decision
 * order and storage layout (dstack-kms §16), and what a Node program needs to build, deploy, manage and read them. The
 * invariant it keeps: a boot decision is read at one block, named by its hash, so that anyone can ask the chain again.
 */
export { appContract, dstackAppAbi, dstackKmsAbi, kmsContract } from './abi.js';
export {
  bootAuthRequest,
  type Reading,
  readBootAuthRequest,
  readBootAuthResponse,
} from './boot-auth/boot-auth-wire.js';
export type { BootDecision, BootInfo, BootKind } from './boot-info.js';
export { type BootPolicy, type ReadBootPolicyOptions, readBootPolicy } from './boot-policy.js';
export {
  type CompiledContract,
  type CompiledContracts,
  CompileFailedError,
  type ContractName,
  compileContracts,
} from './compile.js';
export { type AppOptions, deployApp, deployKms, type KmsDeployment } from './deploy.js';
export { type KmsOverview, readKmsOverview } from './kms-overview.js';
export {
  approveCompose,
  approveDevice,
  approveKmsDevice,
  approveOsImage,
  PolicyChangeRefusedError,
  type PolicyTransaction,
  registerApp,
  revokeCompose,
  revokeDevice,
  revokeKmsDevice,
  revokeOsImage,
  setAllowAnyDevice,
} from './manage.js';
export { type BlockChoice, type PolicyBlock, readChainId, readPolicyBlock } from './pinned-call.js';
export { type PolicyChange, type PolicyName, readPolicyChanges } from './policy-changes.js';
export {
  judgeByPolicyFile,
  type PolicyFile,
  type PolicyFileReading,
  parsePolicyFile,
} from './policy-file/policy-file.js';
export { readPolicyFile, type StoredPolicyFile } from './policy-file/read-policy-file.js';
export {
  type AppPolicyState,
  type KmsPolicyState,
  type PolicyStateOptions,
  readAppPolicy,
  readKmsPolicy,
} from './policy-state.js';
export { PolicyUnavailableError } from './policy-unavailable-error.js';
export { jsonRpcProvider, privateKeySigner } from './provider.js';
