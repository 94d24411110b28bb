// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Initializable} from "@openzeppelin/contracts/proxy/utils/Initializable.sol";
import {UUPSUpgradeable} from "@openzeppelin/contracts/proxy/utils/UUPSUpgradeable.sol";
import {OwnableUpgradeable} from "@openzeppelin/contracts-upgradeable/access/OwnableUpgradeable.sol";
import {Ownable2StepUpgradeable} from "@openzeppelin/contracts-upgradeable/access/Ownable2StepUpgradeable.sol";
import {ERC165Upgradeable} from "@openzeppelin/contracts-upgradeable/utils/introspection/ERC165Upgradeable.sol";
import {IAppAuth} from "./interfaces/IAppAuth.sol";
import {IAppAuthBasicManagement} from "./interfaces/IAppAuthBasicManagement.sol";

/// @title Boot policy of one app; the address of its proxy is the app id
/// @notice Slots 0-3 are the contract's own storage and never move; inherited state lies in ERC-7201 namespaces.
contract DstackApp is
    Initializable,
    Ownable2StepUpgradeable,
    UUPSUpgradeable,
    ERC165Upgradeable,
    IAppAuth,
    IAppAuthBasicManagement
{
    mapping(bytes32 composeHash => bool) public allowedComposeHashes;
    bool private _upgradesDisabled;
    bool public allowAnyDevice;
    mapping(bytes32 deviceId => bool) public allowedDeviceIds;
    bool public requireTcbUpToDate;
    uint256[49] private __gap;

    bytes32 private constant COMPOSE_HASH = keccak256("compose-hash");
    bytes32 private constant DEVICE = keccak256("device");
    bytes32 private constant ALLOW_ANY_DEVICE = keccak256("allow-any-device");
    bytes32 private constant REQUIRE_TCB_UP_TO_DATE = keccak256("require-tcb-up-to-date");
    bytes32 private constant UPGRADES_DISABLED = keccak256("upgrades-disabled");
    bytes32 private constant IMPLEMENTATION_UPGRADE = keccak256("implementation-upgrade");
    bytes32 private constant UP_TO_DATE = keccak256("UpToDate");

    event UpgradesDisabled();
    event AllowAnyDeviceSet(bool allowAny);
    event RequireTcbUpToDateSet(bool requireUpToDate);
    /// @dev One event for every policy change; `policy` is the Keccak-256 of its name, `value` 0 for flags.
    event PolicyChanged(address indexed actor, bytes32 indexed policy, bytes32 indexed value, bool enabled);

    /// @custom:oz-upgrades-unsafe-allow constructor
    constructor() {
        _disableInitializers();
    }

    function initialize(
        address initialOwner,
        bool disableUpgrades_,
        bool allowAnyDevice_,
        bytes32 initialDeviceId,
        bytes32 initialComposeHash
    ) external initializer {
        _setUp(initialOwner, disableUpgrades_, false, allowAnyDevice_, initialDeviceId, initialComposeHash);
    }

    function initialize(
        address initialOwner,
        bool disableUpgrades_,
        bool requireTcbUpToDate_,
        bool allowAnyDevice_,
        bytes32 initialDeviceId,
        bytes32 initialComposeHash
    ) external initializer {
        _setUp(
            initialOwner,
            disableUpgrades_,
            requireTcbUpToDate_,
            allowAnyDevice_,
            initialDeviceId,
            initialComposeHash
        );
    }

    function _setUp(
        address initialOwner,
        bool disableUpgrades_,
        bool requireTcbUpToDate_,
        bool allowAnyDevice_,
        bytes32 initialDeviceId,
        bytes32 initialComposeHash
    ) private onlyInitializing {
        require(initialOwner != address(0), "invalid owner address");
        __Ownable_init(initialOwner);
        _upgradesDisabled = disableUpgrades_;
        requireTcbUpToDate = requireTcbUpToDate_;
        allowAnyDevice = allowAnyDevice_;
        if (disableUpgrades_) {
            emit UpgradesDisabled();
            emit PolicyChanged(msg.sender, UPGRADES_DISABLED, 0, true);
        }
        if (requireTcbUpToDate_) {
            emit RequireTcbUpToDateSet(true);
            emit PolicyChanged(msg.sender, REQUIRE_TCB_UP_TO_DATE, 0, true);
        }
        if (allowAnyDevice_) {
            emit AllowAnyDeviceSet(true);
            emit PolicyChanged(msg.sender, ALLOW_ANY_DEVICE, 0, true);
        }
        if (initialDeviceId != bytes32(0)) _setDevice(initialDeviceId, true);
        if (initialComposeHash != bytes32(0)) _setComposeHash(initialComposeHash, true);
    }

    /// @notice Layout generation of the contract.
    function version() external pure returns (uint256) {
        return 2;
    }

    function supportsInterface(bytes4 interfaceId) public view override returns (bool) {
        return
            interfaceId == type(IAppAuth).interfaceId ||
            interfaceId == type(IAppAuthBasicManagement).interfaceId ||
            super.supportsInterface(interfaceId);
    }

    /// @inheritdoc IAppAuth
    function isAppAllowed(
        AppBootInfo calldata bootInfo
    ) external view override returns (bool isAllowed, string memory reason) {
        if (requireTcbUpToDate && keccak256(bytes(bootInfo.tcbStatus)) != UP_TO_DATE) {
            return (false, "TCB status is not up to date");
        }
        if (!allowedComposeHashes[bootInfo.composeHash]) return (false, "Compose hash not allowed");
        if (!allowAnyDevice && !allowedDeviceIds[bootInfo.deviceId]) return (false, "Device not allowed");
        return (true, "");
    }

    function addComposeHash(bytes32 composeHash) external override onlyOwner {
        _setComposeHash(composeHash, true);
    }

    function removeComposeHash(bytes32 composeHash) external override onlyOwner {
        _setComposeHash(composeHash, false);
    }

    function addDevice(bytes32 deviceId) external override onlyOwner {
        _setDevice(deviceId, true);
    }

    function removeDevice(bytes32 deviceId) external override onlyOwner {
        _setDevice(deviceId, false);
    }

    function setAllowAnyDevice(bool allowAny) external onlyOwner {
        allowAnyDevice = allowAny;
        emit AllowAnyDeviceSet(allowAny);
        emit PolicyChanged(msg.sender, ALLOW_ANY_DEVICE, 0, allowAny);
    }

    function setRequireTcbUpToDate(bool requireUpToDate) external onlyOwner {
        requireTcbUpToDate = requireUpToDate;
        emit RequireTcbUpToDateSet(requireUpToDate);
        emit PolicyChanged(msg.sender, REQUIRE_TCB_UP_TO_DATE, 0, requireUpToDate);
    }

    /// @notice Freezes the implementation for ever; nothing turns this back.
    function disableUpgrades() external onlyOwner {
        _upgradesDisabled = true;
        emit UpgradesDisabled();
        emit PolicyChanged(msg.sender, UPGRADES_DISABLED, 0, true);
    }

    function _setComposeHash(bytes32 composeHash, bool allowed) private {
        allowedComposeHashes[composeHash] = allowed;
        if (allowed) emit ComposeHashAdded(composeHash);
        else emit ComposeHashRemoved(composeHash);
        emit PolicyChanged(msg.sender, COMPOSE_HASH, composeHash, allowed);
    }

    function _setDevice(bytes32 deviceId, bool allowed) private {
        allowedDeviceIds[deviceId] = allowed;
        if (allowed) emit DeviceAdded(deviceId);
        else emit DeviceRemoved(deviceId);
        emit PolicyChanged(msg.sender, DEVICE, deviceId, allowed);
    }

    function _authorizeUpgrade(address newImplementation) internal override onlyOwner {
        require(!_upgradesDisabled, "Upgrades are permanently disabled");
        emit PolicyChanged(
            msg.sender,
            IMPLEMENTATION_UPGRADE,
            bytes32(uint256(uint160(newImplementation))),
            true
        );
    }
}
