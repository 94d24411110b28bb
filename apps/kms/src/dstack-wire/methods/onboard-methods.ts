import { createHash } from 'node:crypto';
import { deriveMeasurements, readAttestation, TEE_VARIANTS } from '@vouch/attestation';
import { judgeAttestation } from '../guest/judge-evidence.js';
import { judgeGuestImage } from '../guest/judge-guest-image.js';
import type { WireCaller } from '../guest/wire-caller.js';
import {
  AttestationInfoResponse,
  BootstrapRequest,
  BootstrapResponse,
  Empty,
  OnboardRequest,
  OnboardResponse,
} from '../prpc/kms-messages.js';
import { PrpcError } from '../prpc/prpc-error.js';
import { type Method, method } from '../prpc/prpc-service.js';
import { refusalText } from '../release/refusal-text.js';
import type { WireParts } from './wire-parts.js';

const REPORT_DATA_BYTES = 64;

/** dstack serves these only before there are keys. This server runs only when there are some, so that all it can do is refuse. */
export function onboardMethods(parts: WireParts): [string, Method<WireCaller>][] {
  const refused = (why: string) => async (): Promise<never> => {
    throw new PrpcError(why);
  };
  return [
    [
      'Bootstrap',
      method({
        ...{ service: 'Onboard', input: BootstrapRequest, output: BootstrapResponse },
        call: refused('already bootstrapped: this key server has its root keys'),
      }),
    ],
    [
      'Onboard',
      method({
        ...{ service: 'Onboard', input: OnboardRequest, output: OnboardResponse },
        call: refused('already bootstrapped: a key server with root keys takes no others'),
      }),
    ],
    [
      'Finish',
      method({
        ...{ service: 'Onboard', input: Empty, output: Empty },
        call: refused('there is no onboarding to finish'),
      }),
    ],
    ['GetAttestationInfo', getAttestationInfo(parts)],
  ];
}

/** What an operator must put on the allow-lists for this KMS, from its own verified evidence. */
function getAttestationInfo(parts: WireParts): Method<WireCaller> {
  return method({
    service: 'Onboard',
    input: Empty,
    output: AttestationInfoResponse,
    async call(_input, _caller: WireCaller) {
      const { agent, appraiser, ports } = parts;
      if (agent === undefined)
        throw new PrpcError('this key server runs without a guest agent: it cannot attest itself');
      const read = readAttestation(await agent.attest(new Uint8Array(REPORT_DATA_BYTES)));
      if (!read.ok) throw new PrpcError(`the guest agent's attestation cannot be read: ${read.failed.detail}`);
      const attestation = read.value;
      const judged = await judgeAttestation(attestation, null, appraiser);
      const failed = judged.checks.find(({ outcome }) => outcome === 'fail');
      if (judged.guest === null)
        throw new PrpcError(refusalText(failed ?? { name: 'evidence', detail: 'not verified' }));
      const { appraised, quote, identity } = judged.guest;
      const vmConfig = attestation.stack.config || '{}';
      const image = await judgeGuestImage(judged.guest, attestation, vmConfig, ports.imageRules);
      if (!image.ok) throw new PrpcError(refusalText({ name: 'os-image.measurement', detail: image.detail }));
      if (quote.report.kind === 'sgx') throw new TypeError('an SGX quote cannot have passed the OS image check');
      const { ppid } = appraised.verified.pck;
      const value = {
        device_id: new Uint8Array(createHash('sha256').update(ppid).digest()),
        mr_aggregated: deriveMeasurements(quote.report, identity.keyProviderInfo).mrAggregated,
        os_image_hash: Buffer.from(image.osImageHash, 'hex'),
        tee_variant: TEE_VARIANTS[attestation.platform.kind],
        site_name: '',
        eth_rpc_url: parts.ethRpcUrl,
        kms_contract_address: parts.contract === null ? '' : `0x${parts.contract}`,
        ppid,
      };
      return { value };
    },
  });
}
