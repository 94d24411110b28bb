import { randomBytes } from 'node:crypto';
import {
  CollateralClient,
  grantReportData,
  parseQuote,
  type QuoteCollateralV3,
  trustAnchorFromPem,
} from '@vouch/attestation';
import { type Claims, canonicalJson, type EventData } from '@vouch/domain';
import { generateHpkeKeyPair, generateP256 } from '@vouch/keys';
import { SIMULATED_GUEST, SimulatedPlatform } from '@vouch/testkit';

export const HOST_ID = 'host-1';
export const EPOCH = 1;

/** Requests of one guest of one platform, each with a quote, challenge and keys of its own. */
export interface GrantEvidence {
  readonly requests: readonly EventData<'attestation.submitted'>[];
  readonly collateral: QuoteCollateralV3;
  readonly unsafeTrustAnchor: string;
}

export async function collectEvidence(count: number): Promise<GrantEvidence> {
  const platform = await SimulatedPlatform.start();
  try {
    const requests: EventData<'attestation.submitted'>[] = [];
    for (let at = 0; at < count; at += 1) requests.push(await requestOn(platform));
    const unsafeTrustAnchor = await platform.rootPem();
    const parsed = parseQuote(new Uint8Array(Buffer.from(requests[0]?.evidence.quote ?? '', 'base64')));
    if (!parsed.ok) throw new Error(parsed.failed.detail);
    const client = new CollateralClient({
      endpoints: [{ url: platform.pccs, unsafePlainHttp: true }],
      trustAnchors: [trustAnchorFromPem(unsafeTrustAnchor)],
      now: () => new Date(),
      monotonicMs: () => performance.now(),
    });
    return { requests, collateral: await client.collateralFor(parsed.quote), unsafeTrustAnchor };
  } finally {
    await platform.stop();
  }
}

async function requestOn(platform: SimulatedPlatform): Promise<EventData<'attestation.submitted'>> {
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
  const { appId, instanceId } = SIMULATED_GUEST;
  const place = { hostId: HOST_ID, instanceId, epoch: EPOCH };
  const claims: Claims = {
    ...{ version: 1, challenge: hex(randomBytes(32)), appId, ...place },
    hpkeKey: hex((await generateHpkeKeyPair()).publicKey),
    wireguardKey: hex(randomBytes(32)),
    tlsKey: hex(generateP256().spki),
  };
  const { quote, eventLog, vmConfig } = await platform.evidence(grantReportData(canonicalJson(claims)));
  return { ...place, evidence: { quote: Buffer.from(quote).toString('base64'), eventLog, vmConfig }, claims };
}
