import { messageType, optional, repeated, required } from './message-type.js';

/**
 * The messages of dstack's key server (dstack-kms §3.1), field numbers and names as on the wire. `kms-rpc.proto` beside this
 * file says the same in protobuf's own language; a test holds the two together.
 */
export const Empty = messageType('Empty', {});

export const GetAppKeyRequest = messageType('GetAppKeyRequest', {
  api_version: required(1, 'uint32'),
  vm_config: required(2, 'string'),
});

export const AppKeyResponse = messageType('AppKeyResponse', {
  ca_cert: required(1, 'string'),
  disk_crypt_key: required(2, 'bytes'),
  env_crypt_key: required(3, 'bytes'),
  k256_key: required(4, 'bytes'),
  k256_signature: required(5, 'bytes'),
  /** Deprecated copy of the next. */
  tproxy_app_id: required(6, 'string'),
  gateway_app_id: required(7, 'string'),
  os_image_hash: required(8, 'bytes'),
});

export const AppId = messageType('AppId', { app_id: required(1, 'bytes') });

export const PublicKeyResponse = messageType('PublicKeyResponse', {
  public_key: required(1, 'bytes'),
  signature: required(2, 'bytes'),
  timestamp: required(3, 'uint64'),
  signature_v1: required(4, 'bytes'),
});

export const BootstrapRequest = messageType('BootstrapRequest', { domain: required(1, 'string') });

export const BootstrapResponse = messageType('BootstrapResponse', {
  ca_pubkey: required(1, 'bytes'),
  k256_pubkey: required(2, 'bytes'),
  attestation: required(3, 'bytes'),
});

export const GetMetaResponse = messageType('GetMetaResponse', {
  ca_cert: required(1, 'string'),
  allow_any_upgrade: required(2, 'bool'),
  k256_pubkey: required(3, 'bytes'),
  bootstrap_info: optional(4, BootstrapResponse),
  is_dev: required(5, 'bool'),
  gateway_app_id: optional(6, 'string'),
  kms_contract_address: optional(7, 'string'),
  chain_id: optional(8, 'uint64'),
  app_auth_implementation: optional(9, 'string'),
});

export const GetKmsKeyRequest = messageType('GetKmsKeyRequest', { vm_config: required(1, 'string') });

export const KmsKeys = messageType('KmsKeys', { ca_key: required(1, 'string'), k256_key: required(2, 'bytes') });

export const KmsKeyResponse = messageType('KmsKeyResponse', {
  temp_ca_key: required(1, 'string'),
  keys: repeated(2, KmsKeys),
});

export const GetTempCaCertResponse = messageType('GetTempCaCertResponse', {
  temp_ca_cert: required(1, 'string'),
  temp_ca_key: required(2, 'string'),
  ca_cert: required(3, 'string'),
});

export const SignCertRequest = messageType('SignCertRequest', {
  api_version: required(1, 'uint32'),
  csr: required(2, 'bytes'),
  signature: required(3, 'bytes'),
  vm_config: required(4, 'string'),
});

export const SignCertResponse = messageType('SignCertResponse', { certificate_chain: repeated(1, 'string') });

export const ClearImageCacheRequest = messageType('ClearImageCacheRequest', {
  image_hash: required(1, 'string'),
  config_hash: required(2, 'string'),
});

export const OnboardRequest = messageType('OnboardRequest', {
  source_url: required(1, 'string'),
  domain: required(2, 'string'),
});

export const OnboardResponse = messageType('OnboardResponse', { k256_pubkey: required(1, 'bytes') });

export const AttestationInfoResponse = messageType('AttestationInfoResponse', {
  device_id: required(1, 'bytes'),
  mr_aggregated: required(2, 'bytes'),
  os_image_hash: required(3, 'bytes'),
  tee_variant: required(4, 'string'),
  site_name: required(5, 'string'),
  eth_rpc_url: required(6, 'string'),
  kms_contract_address: required(7, 'string'),
  ppid: required(8, 'bytes'),
});

/** What an error looks like in protobuf. */
export const PrpcErrorMessage = messageType('PrpcError', { message: required(1, 'string') });
