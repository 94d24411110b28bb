// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title What a key server asks before it releases keys: may this measured instance boot?
interface IAppAuth {
    /// @dev The member order is part of the selector 0x1e079198 and differs from the order in JSON boot information.
    struct AppBootInfo {
        address appId;
        bytes32 composeHash;
        address instanceId;
        bytes32 deviceId;
        bytes32 mrAggregated;
        bytes32 mrSystem;
        bytes32 osImageHash;
        string tcbStatus;
        string[] advisoryIds;
    }

    /// @return isAllowed true when policy lets the instance boot
    /// @return reason why not; empty when allowed
    function isAppAllowed(AppBootInfo calldata bootInfo) external view returns (bool isAllowed, string memory reason);
}
