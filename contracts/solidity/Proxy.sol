// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

// Names the proxy so that it is compiled with the contracts it fronts.
import {ERC1967Proxy} from "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol";
