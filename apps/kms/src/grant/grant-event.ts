import type { EventData } from '@vouch/domain';
import type { GrantRequest } from './grant-request.js';
import type { DeniedVerdict, GrantVerdict, IssuedVerdict } from './grant-verdict.js';
import type { PayloadSealer } from './payload-sealer.js';

/** What goes into the log for a request. */
export type GrantEventBody =
  | { readonly type: 'grant.issued'; readonly data: EventData<'grant.issued'> }
  | { readonly type: 'grant.denied'; readonly data: EventData<'grant.denied'> };

const REASON_LIMIT = 2000;

/** The event a verdict becomes. A guest whose key nothing can be sealed to is denied under `claims.bound`. */
export async function grantEventOf(
  request: GrantRequest,
  verdict: GrantVerdict,
  sealer: PayloadSealer,
): Promise<GrantEventBody> {
  if (verdict.outcome === 'denied') return deniedBody(request, verdict);
  const { facts, appId, gatewayAppId, address, ports, keyEpoch } = verdict;
  const earlier = verdict.earlierKeyEpochs.length === 0 ? {} : { earlierKeyEpochs: [...verdict.earlierKeyEpochs] };
  const { claims } = request.data;
  const keys = { hpke: claims.hpkeKey, wireguard: claims.wireguardKey, tls: claims.tlsKey };
  const { osImageHash, mrAggregated, deviceId, tcbStatus, advisoryIds } = facts;
  const { requestId } = request;
  const { instanceId } = request.data;
  const sealing = await sealer.seal({
    ...{ requestId, appId, instanceId, osImageHash, gatewayAppId, keys, keyEpoch },
    ...earlier,
  });
  if (!sealing.ok) return deniedBody(request, unsealable(verdict, sealing.reason));
  return {
    type: 'grant.issued',
    data: {
      ...common(request, verdict),
      appId,
      composeHash: verdict.composeHash,
      keyEpoch,
      ...earlier,
      osImageHash,
      mrAggregated,
      deviceId,
      tcbStatus,
      advisoryIds: [...advisoryIds],
      keys,
      address,
      ports: [...ports],
      gatewayAppId,
      payloadHash: sealing.payloadHash,
    },
  };
}

function deniedBody(request: GrantRequest, verdict: DeniedVerdict): GrantEventBody {
  const reason = verdict.reason.slice(0, REASON_LIMIT);
  const { composeHash, failedCheck } = verdict;
  return { type: 'grant.denied', data: { ...common(request, verdict), composeHash, failedCheck, reason } };
}

function common({ requestId, requestSeq, data }: GrantRequest, verdict: GrantVerdict) {
  const { hostId, instanceId, epoch, claims } = data;
  const { checks, collateral, policy, unsafe } = verdict;
  const collateralDigest = collateral?.digest ?? null;
  const place = { hostId, instanceId, epoch };
  return {
    ...{ requestId, requestSeq, ...place, appId: claims.appId },
    ...{ checks, collateralDigest, policy, unsafe: [...unsafe] },
  };
}

/** The verdict with `claims.bound` turned to failed: its finding about the key was too kind. */
function unsealable(verdict: IssuedVerdict, reason: string): DeniedVerdict {
  const { collateral, composeHash, policy, unsafe } = verdict;
  const checks = verdict.checks.map((check) =>
    check.name === 'claims.bound' ? { ...check, outcome: 'fail' as const, detail: reason } : check,
  );
  return { outcome: 'denied', failedCheck: 'claims.bound', reason, checks, collateral, composeHash, policy, unsafe };
}
