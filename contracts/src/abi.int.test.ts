import { Interface } from 'ethers';
import { beforeAll, describe, expect, it } from 'vitest';
import { dstackAppAbi, dstackKmsAbi } from './abi.js';
import { type CompiledContracts, compileContracts } from './compile.js';

/** dstack-kms §16.1: selector -> name. */
const APP_SELECTORS = {
  '1e079198': 'isAppAllowed',
  dfc77223: 'addComposeHash',
  '67b3f22c': 'removeComposeHash',
  '2a819728': 'addDevice',
  '1d266200': 'removeDevice',
  '7c4beeb8': 'setAllowAnyDevice',
  '6e4c7422': 'setRequireTcbUpToDate',
  ec669036: 'disableUpgrades',
  '2f6622e5': 'allowedComposeHashes',
  bf8b211b: 'allowedDeviceIds',
  '3440a16a': 'allowAnyDevice',
  '0aa58c83': 'requireTcbUpToDate',
  '54fd4d50': 'version',
  '187515ca': 'initialize',
  '9ed28193': 'initialize',
} as const;
const KMS_SELECTORS = {
  '1e079198': 'isAppAllowed',
  e067ec9d: 'isKmsAllowed',
  '485cc955': 'initialize',
  '17a1d80f': 'registerApp',
  a6c4cce9: 'registeredApps',
  '8618169d': 'deployAndRegisterApp',
  '9cb9c31f': 'deployAndRegisterApp',
  '7d025352': 'setKmsInfo',
  '18c1ecb2': 'setKmsQuote',
  '736ede7a': 'setKmsEventlog',
  '3971db27': 'setGatewayAppId',
  '3ceaaa11': 'setAppImplementation',
  '3e32d346': 'addKmsAggregatedMr',
  '2adee48d': 'removeKmsAggregatedMr',
  '4d5922a1': 'addKmsDevice',
  '9e6f3114': 'removeKmsDevice',
  '06a3ae96': 'addOsImageHash',
  '9425bac6': 'removeOsImageHash',
  '09177063': 'kmsInfo',
  '95f51931': 'gatewayAppId',
  '25a992da': 'appImplementation',
  f6fe4f40: 'kmsAllowedAggregatedMrs',
  '13eb9770': 'kmsAllowedDeviceIds',
  '9a4e1d18': 'allowedOsImages',
} as const;
const COMMON_SELECTORS = {
  '8da5cb5b': 'owner',
  f2fde38b: 'transferOwnership',
  '79ba5097': 'acceptOwnership',
  e30c3978: 'pendingOwner',
  '715018a6': 'renounceOwnership',
  '4f1ef286': 'upgradeToAndCall',
  '52d1902d': 'proxiableUUID',
} as const;

/** dstack-kms §16.5: event -> topic0. */
const TOPICS = {
  ComposeHashAdded: 'fecb34306dd9d8b785b54d65489d06afc8822a0893ddacedff40c50a4942d0af',
  ComposeHashRemoved: '755b79bd4b0eeab344d032284a99003b2ddc018b646752ac72d681593a6e8947',
  DeviceAdded: '67fc71ab96fe3fa3c6f78e9a00e635d591b7333ce611c0380bc577aac702243b',
  DeviceRemoved: 'e0862975ac517b0478d308012afabc4bc37c23874a18144d7f2dfb852ff95c2c',
  UpgradesDisabled: '0e5daa943fcd7e7182d0e893d180695c2ea9f6f1b4a1c5432faf14cf17b774e8',
  AllowAnyDeviceSet: 'bb2cdb6c7b362202d40373f87bc4788301cca658f91711ac1662e1ad2cba4a20',
  RequireTcbUpToDateSet: 'afae60561b2481a349b45b3a47357f70eef6ae67e5b6e1749d74de7f19a25aa1',
  PolicyChanged: '341d3bc64e32172fc5bcf27b0f7f69dc5adc19af64b7aa1dee361e5883c32375',
  AppRegistered: '0d540ad8f39e07d19909687352b9fa017405d93c91a6760981fbae9cf28bfef7',
  KmsInfoSet: '77cdad119a452bbd96c45635758fc4af8a6bde3deaccf3fada634ddf9a162706',
  KmsAggregatedMrAdded: '68615a0b92795750b3d180ff73429e1291d225e449eee954a567b91104fd9837',
  KmsAggregatedMrRemoved: '54cd662e41eec7ddf0f32f034b2533e481b471dd3ea978222d609ec8fffb1bb0',
  KmsDeviceAdded: 'f2b290637b1193e12eb38ab32b986303639b1687cc2cd1e25f993e6eae2f4041',
  KmsDeviceRemoved: '1a9888a45e3df8b7e6bb3090747d598d2a0d78e61388161a90799f54df8f4434',
  OsImageHashAdded: '4911843506849c85a5ca6e6e2c01eed2d3ab86baba619517a2aad9d5ab2aeff2',
  OsImageHashRemoved: '99b3cee95daf3138d0c982299cd0264f5b7a61aa629b42b92f3ec8966aa7f6fe',
  GatewayAppIdSet: '5b2b64f770ea5266055ebd3ebf205ef06cbfa738e62684edf0e28356e34acf06',
  AppImplementationSet: '08bb433f12b5fd81d2d5e0deeb3b4d28371781ddbd80e9d053e7468d2b1aa82d',
  AppDeployedViaFactory: 'fd86d7f6962eba3b7a3bf9129c06c0b2f885e1c61ef2c9f0dbb856be0deefdee',
} as const;

let compiled: CompiledContracts;
beforeAll(async () => {
  compiled = await compileContracts();
});

const signatures = (abi: Interface) => abi.fragments.map((fragment) => fragment.format('full')).sort();

describe('the compiled contracts', () => {
  it('have the documented selectors', () => {
    const app = { ...APP_SELECTORS, ...COMMON_SELECTORS };
    const kms = { ...KMS_SELECTORS, ...COMMON_SELECTORS };
    for (const [name, table] of [
      ['DstackApp', app],
      ['DstackKms', kms],
    ] as const) {
      const bySelector = new Map(
        Object.entries(compiled[name].methodIdentifiers).map(([signature, selector]) => [selector, signature]),
      );
      for (const [selector, method] of Object.entries(table)) {
        expect(bySelector.get(selector)?.split('(')[0], `${name} ${selector}`).toBe(method);
      }
    }
  });

  it('emit the documented topics', () => {
    const seen = new Map<string, string>();
    for (const name of ['DstackApp', 'DstackKms'] as const) {
      Interface.from(JSON.stringify(compiled[name].abi)).forEachEvent((event) => {
        seen.set(event.name, event.topicHash.slice(2));
      });
    }
    for (const [name, topic] of Object.entries(TOPICS)) expect(seen.get(name), name).toBe(topic);
  });

  it('have exactly the ABI that services use', () => {
    const apart = (name: 'DstackApp' | 'DstackKms') =>
      signatures(Interface.from(JSON.stringify(compiled[name].abi.filter(({ type }) => type !== 'constructor'))));
    expect(signatures(dstackAppAbi)).toEqual(apart('DstackApp'));
    expect(signatures(dstackKmsAbi)).toEqual(apart('DstackKms'));
  });
});
