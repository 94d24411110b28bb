import type { BootInfo } from '@vouch/contracts';
import { deriveEnvCryptKey, signEnvPublicKey, x25519PublicKey } from '@vouch/keys';
import type { WireCaller } from '../guest/wire-caller.js';
import { AppId, Empty, GetMetaResponse, GetTempCaCertResponse, PublicKeyResponse } from '../prpc/kms-messages.js';
import { PrpcError } from '../prpc/prpc-error.js';
import { type Method, method } from '../prpc/prpc-service.js';
import { refusalText } from '../release/refusal-text.js';
import type { WireParts } from './wire-parts.js';

const APP_ID_BYTES = 20;

/** No app has this id: asking about it shows whose policy answers, and which gateway it names. */
const NOBODY: BootInfo = {
  ...{ teeVariant: 'dstack-tdx', appId: '00'.repeat(20), composeHash: '00'.repeat(32), instanceId: '' },
  ...{ deviceId: '00'.repeat(32), mrAggregated: '00'.repeat(32), mrSystem: '00'.repeat(32) },
  ...{ osImageHash: '00'.repeat(32), keyProviderInfo: '', tcbStatus: 'UpToDate', advisoryIds: [] },
};

/**
 * What this KMS is. `allow_any_upgrade` is never true: there is no setting that allows every app. `bootstrap_info` is absent,
 * as for dstack's replicas: it would carry an attestation of the root keys' birth.
 */
export function getMeta(parts: WireParts): Method<WireCaller> {
  return method({
    service: 'KMS',
    input: Empty,
    output: GetMetaResponse,
    async call(_input, _caller: WireCaller) {
      const { root, isDevelopment } = parts;
      const { contract, chainId, gatewayAppId } = await policyPlace(parts);
      const value = {
        ca_cert: root.rootCaCert,
        allow_any_upgrade: false,
        k256_pubkey: root.keys.k256PublicKey,
        bootstrap_info: undefined,
        is_dev: isDevelopment,
        gateway_app_id: gatewayAppId,
        kms_contract_address: contract === undefined ? undefined : `0x${contract}`,
        chain_id: chainId,
        app_auth_implementation: undefined,
      };
      return { value };
    },
  });
}

async function policyPlace({ ports: { policy } }: WireParts): Promise<{
  readonly contract: string | undefined;
  readonly chainId: number | undefined;
  readonly gatewayAppId: string | undefined;
}> {
  try {
    if (policy.kind === 'webhook') {
      await policy.reachable();
      return { contract: undefined, chainId: undefined, gatewayAppId: undefined };
    }
    const { origin, gatewayAppId } = await policy.read('app', NOBODY);
    const { contract, chainId } = origin.source === 'contract' ? origin : { contract: undefined, chainId: undefined };
    return { contract, chainId, gatewayAppId };
  } catch (cause) {
    throw new PrpcError(`the policy cannot be asked: ${(cause as Error).message}`, true, { cause });
  }
}

/** Certificate and key of the client CA (for everyone), and the root CA to trust in the second connection. */
export function getTempCaCert({ root, tempCa }: WireParts): Method<WireCaller> {
  const value = {
    temp_ca_cert: tempCa.certificate,
    temp_ca_key: tempCa.privateKey,
    ca_cert: root.rootCaCert,
  };
  return method({
    service: 'KMS',
    input: Empty,
    output: GetTempCaCertResponse,
    call: async (_input, _caller: WireCaller) => ({ value }),
  });
}

/** The key an app's environment is encrypted to, signed twice: as old clients know it, and with the time. */
export function getAppEnvEncryptPubKey({ root, ports }: WireParts): Method<WireCaller> {
  return method({
    service: 'KMS',
    input: AppId,
    output: PublicKeyResponse,
    async call({ app_id }, _caller: WireCaller) {
      if (app_id.length !== APP_ID_BYTES) throw new PrpcError('app_id must be 20 bytes');
      const keyEpoch = await ports.keyEpoch();
      if (!keyEpoch.ok) throw new PrpcError(refusalText({ name: 'key-epoch.good', detail: keyEpoch.detail }));
      const secret = deriveEnvCryptKey(root.keys, app_id);
      const public_key = x25519PublicKey(secret);
      secret.fill(0);
      const timestamp = Math.floor(ports.now().getTime() / 1000);
      const value = {
        ...{ public_key, timestamp },
        signature: signEnvPublicKey(root.keys, app_id, public_key),
        signature_v1: signEnvPublicKey(root.keys, app_id, public_key, timestamp),
      };
      return { value };
    },
  });
}
