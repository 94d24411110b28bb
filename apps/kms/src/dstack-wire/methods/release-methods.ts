import { deriveAppKeys, deriveTempCaKey, p256FromScalar, wipeP256 } from '@vouch/keys';
import type { WireCaller } from '../guest/wire-caller.js';
import { AppKeyResponse, GetAppKeyRequest, GetKmsKeyRequest, KmsKeyResponse } from '../prpc/kms-messages.js';
import { PrpcError } from '../prpc/prpc-error.js';
import { type Method, method } from '../prpc/prpc-service.js';
import { decideRelease, type ReleaseQuestion } from '../release/decide-release.js';
import { refusalText } from '../release/refusal-text.js';
import type { ReleaseMethod } from '../release/release-log.js';
import type { AllowedRelease } from '../release/release-verdict.js';
import type { WireParts } from './wire-parts.js';

const MAX_VM_CONFIG_CHARS = 32 * 1024;

/** Decides, and for a refusal logs it and throws what the client is told. */
export async function allowedRelease(
  parts: WireParts,
  name: ReleaseMethod,
  question: ReleaseQuestion,
): Promise<AllowedRelease> {
  const { vmConfig, judged } = question;
  for (const text of [vmConfig, judged.presented.attestation.stack.config]) {
    if (text.length > MAX_VM_CONFIG_CHARS)
      throw new PrpcError(`vm_config has more than ${MAX_VM_CONFIG_CHARS} characters`);
  }
  const verdict = await decideRelease(question, parts.ports);
  if (verdict.outcome === 'allowed') return verdict;
  await parts.releases.refused(name, verdict);
  throw new PrpcError(refusalText(verdict.failed));
}

export function getAppKey(parts: WireParts): Method<WireCaller> {
  return method({
    service: 'KMS',
    input: GetAppKeyRequest,
    output: AppKeyResponse,
    async call({ api_version, vm_config }, { judged }: WireCaller) {
      if (api_version > 1) throw new PrpcError('Unsupported API version');
      if (judged === null) throw new PrpcError('No attestation provided');
      const question = { judged, vmConfig: vm_config, kind: 'app', isBootTime: false } as const;
      const release = await allowedRelease(parts, 'GetAppKey', question);
      const { gatewayAppId, bootInfo } = release;
      const { appId, instanceId, osImageHash } = bootInfo;
      await parts.releases.released('dstack.app-keys-released', 'GetAppKey', release, { gatewayAppId });
      const keys = deriveAppKeys(parts.root.keys, Buffer.from(appId, 'hex'), Buffer.from(instanceId, 'hex'));
      const value = {
        ca_cert: parts.root.rootCaCert,
        disk_crypt_key: keys.diskCryptKey,
        env_crypt_key: keys.envCryptKey,
        k256_key: keys.k256Key,
        k256_signature: keys.k256Signature,
        tproxy_app_id: gatewayAppId,
        gateway_app_id: gatewayAppId,
        os_image_hash: Buffer.from(osImageHash, 'hex'),
      };
      return { value, secrets: [keys.diskCryptKey, keys.envCryptKey, keys.k256Key] };
    },
  });
}

/** Both root keys, to another key server that the policy allows: everything this KMS is, which is why it is off by default. */
export function getKmsKey(parts: WireParts): Method<WireCaller> {
  return method({
    service: 'KMS',
    input: GetKmsKeyRequest,
    output: KmsKeyResponse,
    async call({ vm_config }, { judged }: WireCaller) {
      if (!parts.isRootKeyReleaseAllowed) throw new PrpcError('GetKmsKey is switched off on this key server');
      if (judged === null) throw new PrpcError('No attestation provided');
      const question = { judged, vmConfig: vm_config, kind: 'kms', isBootTime: false } as const;
      const release = await allowedRelease(parts, 'GetKmsKey', question);
      await parts.releases.released('dstack.root-keys-released', 'GetKmsKey', release, {});
      const { keys } = parts.root;
      const k256Key = keys.useK256Scalar((scalar) => Uint8Array.from(scalar));
      const temp_ca_key = deriveTempCaKey(keys).privateKey.export({ format: 'pem', type: 'pkcs8' }) as string;
      const value = { temp_ca_key, keys: [{ ca_key: rootCaPem(parts), k256_key: k256Key }] };
      return { value, secrets: [k256Key] };
    },
  });
}

function rootCaPem({ root }: WireParts): string {
  return root.keys.useCaScalar((scalar) => {
    const key = p256FromScalar(scalar);
    try {
      return key.privateKey.export({ format: 'pem', type: 'pkcs8' }) as string;
    } finally {
      wipeP256(key);
    }
  });
}
