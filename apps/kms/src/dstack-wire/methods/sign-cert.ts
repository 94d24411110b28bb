import {
  type CsrV2,
  stripForCertificate,
  upgradeCsr,
  verifyCsr,
  writeAppInfo,
  writeAttestation,
} from '@vouch/attestation';
import { deriveAppCaKey, InvalidKeyError, mintAppCa, mintAppLeaf, p256PublicKey } from '@vouch/keys';
import { type CertificateTerms, certificateTerms } from '../../certificate/certificate-rules.js';
import { type Finding, fails, holds } from '../../checks/check-ledger.js';
import { judgeEvidence } from '../guest/judge-evidence.js';
import { MAX_PRESENTED_BYTES, type PresentedEvidence } from '../guest/presented-evidence.js';
import type { WireCaller } from '../guest/wire-caller.js';
import { SignCertRequest, SignCertResponse } from '../prpc/kms-messages.js';
import { PrpcError } from '../prpc/prpc-error.js';
import { type Method, method } from '../prpc/prpc-service.js';
import type { AllowedRelease } from '../release/release-verdict.js';
import { allowedRelease } from './release-methods.js';
import { reservedDomains } from './reserved-domains.js';
import type { WireParts } from './wire-parts.js';

type GoodTerms = Extract<CertificateTerms, { readonly ok: true }>;

/**
 * Certifies a key under its app's CA (dstack-kms §3.2, §9). The evidence is in the request, and its report data must bind the
 * key that the request asks to certify. Deliberately stricter than dstack: names that speak for this KMS, a gateway or another
 * app are refused, and so are addresses other than loopback and a validity of more than a year.
 */
export function signCert(parts: WireParts): Method<WireCaller> {
  return method({
    service: 'KMS',
    input: SignCertRequest,
    output: SignCertResponse,
    async call({ api_version, csr, signature, vm_config }, _caller: WireCaller) {
      if (api_version !== 1 && api_version !== 2) throw new PrpcError('Unsupported API version');
      if (csr.length > MAX_PRESENTED_BYTES) throw new PrpcError(`the csr is larger than ${MAX_PRESENTED_BYTES} bytes`);
      const request = openCsr(csr, api_version, signature);
      const { attestation, publicKey, config } = request;
      const form = api_version === 1 ? 'csr-v1' : 'csr-v2';
      const presented: PresentedEvidence = { form, bytes: csr, attestation, boundKey: publicKey };
      const judged = await judgeEvidence(presented, parts.appraiser);
      const now = parts.ports.now();
      let terms: GoodTerms | undefined;
      const judge = async ({ appId }: { readonly appId: string }): Promise<Finding> => {
        const found = termsOf(config, appId, await reservedDomains(parts), now);
        if (!found.ok) return fails(found.reason);
        terms = found;
        return holds(`${found.altNames.length} names, until ${found.notAfter.toISOString()}`);
      };
      const last = { name: 'certificate.terms', judge };
      const question = { judged, vmConfig: vm_config, kind: 'app', isBootTime: true, last } as const;
      const release = await allowedRelease(parts, 'SignCert', question);
      if (terms === undefined) throw new TypeError('the terms were not judged');
      return { value: { certificate_chain: await signed(parts, request, release, terms, now) } };
    },
  });
}

function openCsr(csr: Uint8Array, version: 1 | 2, signature: Uint8Array): CsrV2 {
  const verified = verifyCsr(csr, version, signature);
  if (!verified.ok) throw new PrpcError(`invalid csr: ${verified.failed.detail}`);
  const upgraded = upgradeCsr(verified.value);
  if (!upgraded.ok) throw new PrpcError(`invalid csr: ${upgraded.failed.detail}`);
  try {
    p256PublicKey(upgraded.value.publicKey);
  } catch (error) {
    if (error instanceof InvalidKeyError) throw new PrpcError(`invalid csr: ${error.message}`);
    throw error;
  }
  return upgraded.value;
}

/** Without an address of its own: a plain dstack guest may only name loopback. */
function termsOf(
  { subject, subjectAltNames, orgName, notBefore, notAfter }: CsrV2['config'],
  appId: string,
  domains: readonly string[],
  now: Date,
): CertificateTerms {
  if (orgName !== undefined && !/^[\x20-\x7e]{1,64}$/.test(orgName)) {
    return { ok: false, reason: 'the organization must be 1 to 64 characters of printable ASCII' };
  }
  const times = { ...(notBefore === undefined ? {} : { notBefore }), ...(notAfter === undefined ? {} : { notAfter }) };
  const bounds = { appId, address: '127.0.0.1', reservedDomains: domains, now };
  return certificateTerms({ subject, altNames: subjectAltNames, ...times }, bounds);
}

async function signed(
  parts: WireParts,
  { publicKey, config, attestation }: CsrV2,
  release: AllowedRelease,
  { subject, altNames, notBefore, notAfter }: GoodTerms,
  now: Date,
): Promise<string[]> {
  const { root } = parts;
  const appId = Buffer.from(release.bootInfo.appId, 'hex');
  const appCaKey = deriveAppCaKey(root.keys, appId);
  const leaf = mintAppLeaf({
    ...{ appCaKey, appId, publicKey, subject, altNames, now, notBefore, notAfter },
    ...(config.orgName === undefined ? {} : { organization: config.orgName }),
    usages: [
      ...(config.usageServerAuth ? (['serverAuth'] as const) : []),
      ...(config.usageClientAuth ? (['clientAuth'] as const) : []),
    ],
    ...(config.extQuote ? { attestation: writeAttestation(stripForCertificate(attestation)) } : {}),
    ...(config.extAppInfo ? { appInfo: appInfoOf(release) } : {}),
  });
  const { fingerprint, serial } = leaf;
  await parts.releases.released('dstack.certificate-signed', 'SignCert', release, {
    ...{ fingerprint, serial, subject, altNames: [...altNames] },
    notBefore: leaf.notBefore.toISOString(),
    notAfter: leaf.notAfter.toISOString(),
  });
  return [leaf.pem, mintAppCa(root.keys, appCaKey, appId, now).pem, root.rootCaCert];
}

/** Content of extension .9, all of it from verified evidence, unlike dstack's. */
function appInfoOf({ bootInfo, judged }: AllowedRelease): Uint8Array {
  const bytes = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'));
  return writeAppInfo({
    appId: bytes(bootInfo.appId),
    composeHash: bytes(bootInfo.composeHash),
    instanceId: bytes(bootInfo.instanceId),
    deviceId: bytes(bootInfo.deviceId),
    mrSystem: bytes(bootInfo.mrSystem),
    mrAggregated: bytes(bootInfo.mrAggregated),
    osImageHash: bytes(bootInfo.osImageHash),
    keyProviderInfo: bytes(bootInfo.keyProviderInfo),
    initScriptHashes: (judged.guest?.identity.initScriptHashes ?? []).map(bytes),
  });
}
