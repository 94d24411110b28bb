import { Contract, type ContractRunner, Interface } from 'ethers';

const bootInfo =
  'tuple(address appId, bytes32 composeHash, address instanceId, bytes32 deviceId, bytes32 mrAggregated, bytes32 mrSystem, bytes32 osImageHash, string tcbStatus, string[] advisoryIds) bootInfo';

const ownership = [
  'function owner() view returns (address)',
  'function pendingOwner() view returns (address)',
  'function transferOwnership(address newOwner)',
  'function acceptOwnership()',
  'function renounceOwnership()',
  'function upgradeToAndCall(address newImplementation, bytes data) payable',
  'function proxiableUUID() view returns (bytes32)',
  'function UPGRADE_INTERFACE_VERSION() view returns (string)',
  'function supportsInterface(bytes4 interfaceId) view returns (bool)',
  'event OwnershipTransferStarted(address indexed previousOwner, address indexed newOwner)',
  'event OwnershipTransferred(address indexed previousOwner, address indexed newOwner)',
  'event Initialized(uint64 version)',
  'event Upgraded(address indexed implementation)',
  'event PolicyChanged(address indexed actor, bytes32 indexed policy, bytes32 indexed value, bool enabled)',
  'error OwnableInvalidOwner(address owner)',
  'error OwnableUnauthorizedAccount(address account)',
  'error InvalidInitialization()',
  'error NotInitializing()',
  'error UUPSUnauthorizedCallContext()',
  'error UUPSUnsupportedProxiableUUID(bytes32 slot)',
  'error ERC1967InvalidImplementation(address implementation)',
  'error ERC1967NonPayable()',
  'error AddressEmptyCode(address target)',
  'error FailedCall()',
] as const;

/** ABI of DstackApp (dstack-kms §16.1, §16.5). Written by hand so that a service needs no compiler; tested against it. */
export const dstackAppAbi = new Interface([
  ...ownership,
  `function isAppAllowed(${bootInfo}) view returns (bool isAllowed, string reason)`,
  'function initialize(address initialOwner, bool disableUpgrades_, bool allowAnyDevice_, bytes32 initialDeviceId, bytes32 initialComposeHash)',
  'function initialize(address initialOwner, bool disableUpgrades_, bool requireTcbUpToDate_, bool allowAnyDevice_, bytes32 initialDeviceId, bytes32 initialComposeHash)',
  'function version() pure returns (uint256)',
  'function addComposeHash(bytes32 composeHash)',
  'function removeComposeHash(bytes32 composeHash)',
  'function addDevice(bytes32 deviceId)',
  'function removeDevice(bytes32 deviceId)',
  'function setAllowAnyDevice(bool allowAny)',
  'function setRequireTcbUpToDate(bool requireUpToDate)',
  'function disableUpgrades()',
  'function allowedComposeHashes(bytes32 composeHash) view returns (bool)',
  'function allowedDeviceIds(bytes32 deviceId) view returns (bool)',
  'function allowAnyDevice() view returns (bool)',
  'function requireTcbUpToDate() view returns (bool)',
  'event ComposeHashAdded(bytes32 composeHash)',
  'event ComposeHashRemoved(bytes32 composeHash)',
  'event DeviceAdded(bytes32 deviceId)',
  'event DeviceRemoved(bytes32 deviceId)',
  'event UpgradesDisabled()',
  'event AllowAnyDeviceSet(bool allowAny)',
  'event RequireTcbUpToDateSet(bool requireUpToDate)',
]);

/** ABI of DstackKms (dstack-kms §16.1, §16.5). */
export const dstackKmsAbi = new Interface([
  ...ownership,
  `function isAppAllowed(${bootInfo}) view returns (bool isAllowed, string reason)`,
  `function isKmsAllowed(${bootInfo}) view returns (bool isAllowed, string reason)`,
  'function initialize(address initialOwner, address implementation)',
  'function registerApp(address appId)',
  'function registeredApps(address appId) view returns (bool)',
  'function deployAndRegisterApp(address initialOwner, bool disableUpgrades, bool allowAnyDevice, bytes32 initialDeviceId, bytes32 initialComposeHash) returns (address appId)',
  'function deployAndRegisterApp(address initialOwner, bool disableUpgrades, bool requireTcbUpToDate, bool allowAnyDevice, bytes32 initialDeviceId, bytes32 initialComposeHash) returns (address appId)',
  'function setKmsInfo(tuple(bytes k256Pubkey, bytes caPubkey, bytes quote, bytes eventlog) info)',
  'function setKmsQuote(bytes quote)',
  'function setKmsEventlog(bytes eventlog)',
  'function setGatewayAppId(string appId)',
  'function setAppImplementation(address implementation)',
  'function addKmsAggregatedMr(bytes32 mrAggregated)',
  'function removeKmsAggregatedMr(bytes32 mrAggregated)',
  'function addKmsDevice(bytes32 deviceId)',
  'function removeKmsDevice(bytes32 deviceId)',
  'function addOsImageHash(bytes32 osImageHash)',
  'function removeOsImageHash(bytes32 osImageHash)',
  'function kmsInfo() view returns (bytes k256Pubkey, bytes caPubkey, bytes quote, bytes eventlog)',
  'function gatewayAppId() view returns (string)',
  'function appImplementation() view returns (address)',
  'function kmsAllowedAggregatedMrs(bytes32 mrAggregated) view returns (bool)',
  'function kmsAllowedDeviceIds(bytes32 deviceId) view returns (bool)',
  'function allowedOsImages(bytes32 osImageHash) view returns (bool)',
  'event AppRegistered(address appId)',
  'event KmsInfoSet(bytes k256Pubkey)',
  'event KmsAggregatedMrAdded(bytes32 mrAggregated)',
  'event KmsAggregatedMrRemoved(bytes32 mrAggregated)',
  'event KmsDeviceAdded(bytes32 deviceId)',
  'event KmsDeviceRemoved(bytes32 deviceId)',
  'event OsImageHashAdded(bytes32 osImageHash)',
  'event OsImageHashRemoved(bytes32 osImageHash)',
  'event GatewayAppIdSet(string gatewayAppId)',
  'event AppImplementationSet(address implementation)',
  'event AppDeployedViaFactory(address indexed appId, address indexed deployer)',
]);

/** A DstackKms behind its proxy. `address`: hex, with or without 0x. */
export function kmsContract(address: string, runner: ContractRunner): Contract {
  return new Contract(addressOf(address), dstackKmsAbi, runner);
}

/** A DstackApp behind its proxy; its address is the app id. */
export function appContract(address: string, runner: ContractRunner): Contract {
  return new Contract(addressOf(address), dstackAppAbi, runner);
}

/** `0x` form of a 20-byte hex id. */
export function addressOf(hex: string): string {
  const digits = hex.startsWith('0x') ? hex.slice(2) : hex;
  if (!/^[0-9a-fA-F]{40}$/.test(digits)) throw new TypeError(`${JSON.stringify(hex)} is not a 20-byte address`);
  return `0x${digits.toLowerCase()}`;
}
