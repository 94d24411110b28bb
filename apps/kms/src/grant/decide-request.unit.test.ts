import { PolicyUnavailableError } from '@vouch/contracts';
import { initialInstance, initialRelease } from '@vouch/domain';
import { beforeEach, describe, expect, it } from 'vitest';
import { COMPOSE_HASH, CONTRACT, NOW, REQUEST_ID, TestGuest } from '../testing/guest.js';
import { DECISION_CHECKS, decideRequest } from './decide-request.js';

const settings = { policyMaxAgeSeconds: 300 as number | null, unsafe: ['unsafeTrustAnchor'] };
let guest: TestGuest;
beforeEach(async () => {
  guest = await TestGuest.make();
});

const when = () => decideRequest(guest.request, guest, settings);

/** The decision is a denial at `check`: everything before it passed or was skipped, everything after it is skipped. */
async function thenDenied(check: string, reason: RegExp): Promise<void> {
  const verdict = await when();
  expect(verdict).toMatchObject({ outcome: 'denied', failedCheck: check });
  if (verdict.outcome !== 'denied') return;
  expect(verdict.reason).toMatch(reason);
  expect(verdict.checks.map(({ name }) => name)).toEqual(DECISION_CHECKS);
  const at = DECISION_CHECKS.indexOf(check);
  expect(verdict.checks.filter(({ outcome }) => outcome === 'fail').map(({ name }) => name)).toEqual([check]);
  expect(verdict.checks.slice(at + 1).every(({ outcome }) => outcome === 'skipped')).toBe(true);
  expect(verdict.checks.at(-1)?.outcome).toBe(check === DECISION_CHECKS.at(-1) ? 'fail' : 'skipped');
}

describe('a guest with honest evidence, placed and allowed', () => {
  it('is granted, with every check recorded', async () => {
    const verdict = await when();
    expect(verdict).toMatchObject({
      outcome: 'issued',
      appId: guest.claims.appId,
      composeHash: COMPOSE_HASH,
      address: '127.16.0.5',
      ports: [8080],
      policy: {
        ...{ source: 'contract', chainId: 31337, contract: CONTRACT, block: 7, ageSeconds: 5 },
        blockTime: '2026-05-01T11:59:55.000Z',
      },
      unsafe: ['unsafeProcessGuest', 'unsafeTrustAnchor'],
    });
    expect(verdict.checks.map(({ name }) => name)).toEqual(DECISION_CHECKS);
    expect(verdict.checks.every(({ outcome }) => outcome === 'pass')).toBe(true);
    expect(guest.challengeUses).toEqual([[guest.claims.challenge, guest.place, REQUEST_ID]]);
  });

  it('hears the gateway app id only when it has the form of one', async () => {
    guest.bootPolicy = { ...guest.bootPolicy, gatewayAppId: `0x${'AB'.repeat(20)}` };
    expect(await when()).toMatchObject({ gatewayAppId: 'ab'.repeat(20) });
    guest.bootPolicy = { ...guest.bootPolicy, gatewayAppId: 'any' };
    expect(await when()).toMatchObject({ gatewayAppId: '' });
  });
});

describe('evidence that fails', () => {
  it.each([
    ['quote.format', 'the quote is cut'],
    ['collateral.available', 'no collateral for this platform'],
    ['pck.chain', 'another root'],
    ['quote.signature', 'signature does not verify'],
    ['tcb.status', 'revoked'],
    ['policy.debug', 'the TD is a debug TD'],
    ['policy.tcb-status', 'OutOfDate'],
    ['event-log.replay', 'event-log.rtmr3: the log replays to another value'],
    ['event-log.identity', 'app-id was measured twice'],
    ['os-image.measurement', 'rtMr1 is another'],
  ])('is denied at %s', async (check, detail) => {
    guest.failEvidenceAt(check, detail);
    await thenDenied(check, new RegExp(detail));
    expect(guest.challengeUses).toEqual([]);
  });
});

describe('claims', () => {
  it('that the quote does not cover are denied', async () => {
    guest.claims = { ...guest.claims, hpkeKey: '99'.repeat(32) };
    await thenDenied('claims.bound', /does not cover/);
    expect(guest.challengeUses).toEqual([]);
  });

  it('submitted by another host are denied: a host cannot use a quote made on its neighbour', async () => {
    guest.place = { ...guest.place, hostId: 'host-2' };
    await thenDenied('claims.bound', /another host/);
  });

  it('of another epoch than the submission are denied', async () => {
    guest.place = { ...guest.place, epoch: 3 };
    await thenDenied('claims.bound', /epoch/);
  });

  it('about another app or instance than was measured are denied', async () => {
    guest.claims = { ...guest.claims, appId: 'ab'.repeat(20) };
    guest.quoteClaims();
    await thenDenied('claims.bound', /measured app/);
    guest.claims = { ...guest.claims, appId: guest.facts.identity.appId };
    guest.facts = { ...guest.facts, identity: { ...guest.facts.identity, instanceId: '' } };
    guest.quoteClaims();
    await thenDenied('claims.bound', /measured instance is \(none\)/);
  });

  it('with a key nothing can be done with are denied', async () => {
    guest.claims = { ...guest.claims, tlsKey: '00'.repeat(91) };
    guest.quoteClaims();
    await thenDenied('claims.bound', /tlsKey/);
    guest.claims = { ...guest.claims, wireguardKey: '00'.repeat(32) };
    guest.quoteClaims();
    await thenDenied('claims.bound', /all zero/);
  });
});

describe('the challenge', () => {
  it('must be fresh: a replayed quote is denied', async () => {
    guest.challengeUse = { ok: false, reason: 'the challenge was used by another request' };
    await thenDenied('challenge.fresh', /used by another/);
  });
});

describe('the placement', () => {
  it('must exist', async () => {
    guest.view = { instance: initialInstance, release: initialRelease };
    await thenDenied('placement.host', /no such instance/);
    guest.view = (await TestGuest.make()).view;
    guest.instanceIs({ placement: null });
    await thenDenied('placement.host', /not placed/);
  });

  it('must be on the host that submits', async () => {
    guest.instanceIs({ placement: { hostId: 'host-2', epoch: 2, address: '127.16.0.5' } });
    await thenDenied('placement.host', /host-2, not host-1/);
  });

  it('must be of the epoch in force: the guest of an old one is fenced', async () => {
    guest.instanceIs({ placement: { hostId: 'host-1', epoch: 3, address: '127.16.0.5' } });
    await thenDenied('placement.epoch', /epoch 3 is in force, not 2/);
  });

  it('must still be wanted', async () => {
    guest.instanceIs({ desired: 'stopped' });
    await thenDenied('placement.wanted', /wanted stopped/);
  });

  it('must be of the release that was measured', async () => {
    guest.instanceIs({ composeHash: 'c0'.repeat(32) });
    await thenDenied('release.compose-hash', /measured cc/);
    guest.instanceIs({ appId: 'a0'.repeat(20) });
    await thenDenied('release.compose-hash', /is of app a0/);
    guest.instanceIs({});
    guest.view = { ...guest.view, release: initialRelease };
    await thenDenied('release.compose-hash', /no release/);
  });
});

describe('the policy', () => {
  it('denies an unapproved compose hash with the words of the contract', async () => {
    guest.bootPolicy = { ...guest.bootPolicy, isAllowed: false, reason: 'Compose hash not allowed' };
    await thenDenied('policy.app', /Compose hash not allowed/);
    expect(await when()).toMatchObject({ policy: { block: 7 }, composeHash: COMPOSE_HASH });
  });

  it('is not believed from an old block, nor from the future', async () => {
    guest.bootPolicy = { ...guest.bootPolicy, asOf: new Date(NOW.getTime() - 300_001) };
    await thenDenied('policy.fresh', /older than 300 s/);
    guest.bootPolicy = { ...guest.bootPolicy, asOf: new Date(NOW.getTime() + 300_001) };
    await thenDenied('policy.fresh', /in the future/);
    guest.bootPolicy = { ...guest.bootPolicy, asOf: new Date(NOW.getTime() - 300_000) };
    expect((await when()).outcome).toBe('issued');
  });

  it('that cannot be read gives no decision at all', async () => {
    guest.policyError = new PolicyUnavailableError('the chain is away');
    await expect(when()).rejects.toMatchObject({ code: 'policy-unavailable', retryable: true });
  });
});
