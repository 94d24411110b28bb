import { describe, it } from 'vitest';
import { specificationOf } from '../decider-specification.js';
import type { EventData } from '../event-catalog.js';
import { decideGrant, evolveGrant, initialGrant } from './grant-decider.js';

const { given } = specificationOf({ initial: initialGrant, decide: decideGrant, evolve: evolveGrant });
const pass = { name: 'quote.signature', outcome: 'pass' as const, detail: '' };
const bad = { name: 'policy.compose-hash', outcome: 'fail' as const, detail: 'not allowed' };
const common = {
  requestId: '6f1c8b1e-7c1d-4c7e-9a55-0b1f6d1f9a10',
  requestSeq: 7,
  hostId: 'h1',
  instanceId: 'b2'.repeat(20),
  epoch: 2,
  appId: 'a1'.repeat(20),
  collateralDigest: null,
  policy: null,
  unsafe: [],
};
const grantData: EventData<'grant.issued'> = {
  ...common,
  composeHash: 'cc'.repeat(32),
  checks: [pass],
  keyEpoch: 0,
  osImageHash: '01'.repeat(32),
  mrAggregated: '02'.repeat(32),
  deviceId: '03'.repeat(32),
  tcbStatus: 'UpToDate',
  advisoryIds: [],
  keys: { hpke: '04'.repeat(32), wireguard: '05'.repeat(32), tls: '06'.repeat(91) },
  address: '127.64.0.9',
  ports: [80],
  gatewayAppId: '',
  payloadHash: '07'.repeat(32),
};
const denyData: EventData<'grant.denied'> = {
  ...common,
  composeHash: null,
  checks: [pass, bad],
  failedCheck: 'policy.compose-hash',
  reason: 'not allowed',
};
const issued = { type: 'grant.issued', data: grantData } as const;
const denied = { type: 'grant.denied', data: denyData } as const;
const issue = { type: 'IssueGrant', data: grantData } as const;
const deny = { type: 'DenyGrant', data: denyData } as const;
const other = '7f1c8b1e-7c1d-4c7e-9a55-0b1f6d1f9a10';

describe('grant', () => {
  it('is issued when nothing failed', () => given().when(issue).then(issued));
  it('is denied naming the failed check', () => given().when(deny).then(denied));
  it('one decision per request, whichever it was', () => {
    given(issued).when(issue).thenRefused('request-decided');
    given(issued).when(deny).thenRefused('request-decided');
    given(denied).when(issue).thenRefused('request-decided');
  });
  it('a failed check is never granted', () => {
    given()
      .when({ type: 'IssueGrant', data: { ...grantData, checks: [pass, bad] } })
      .thenRefused('check-failed');
  });
  it('a denial without a failed check is refused', () => {
    given()
      .when({ type: 'DenyGrant', data: { ...denyData, checks: [pass] } })
      .thenRefused('failed-check-unnamed');
    given()
      .when({ type: 'DenyGrant', data: { ...denyData, failedCheck: pass.name } })
      .thenRefused('failed-check-unnamed');
  });
  it('an epoch that is over is not granted again', () => {
    given(issued)
      .when({ type: 'IssueGrant', data: { ...grantData, requestId: other, epoch: 1 } })
      .thenRefused('epoch-stale');
    const again = { ...grantData, requestId: other };
    given(issued).when({ type: 'IssueGrant', data: again }).then({ type: 'grant.issued', data: again });
  });
});
