import { createPublicKey, generateKeyPairSync, type KeyObject, verify } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { CollateralBundle } from '../collateral/collateral-bundle.js';
import type { EvidencePolicy } from '../evidence/evidence-policy.js';
import type { Examination } from '../evidence/examination.js';
import { examineEvidence } from '../evidence/examine-evidence.js';
import { readEvidence } from '../evidence/read-evidence.js';
import { TEST_GUEST, TestGuest } from '../testing/test-guest.js';
import { TEST_NOW, type TestCollateral, type TestQuote } from '../testing/test-platform.js';
import { INTEL_SGX_ROOT } from '../verify/trust-anchor.js';
import { EAR_PROFILE, type EarOptions, earClaims } from './ear-claims.js';
import { earAlgorithm, signEar, UnsupportedSigningKeyError } from './sign-ear.js';
import { trustTier, trustVector } from './trust-vector.js';

const guest = new TestGuest();
const DEV: EvidencePolicy = { unsafeTrustAnchorAccepted: true, unsafeProcessGuestAccepted: true };
const OPTIONS: EarOptions = {
  issuedAt: TEST_NOW,
  verifier: { developer: 'https://vouch.example', build: 'test 1' },
};

async function examine(shape: {
  readonly quote?: TestQuote;
  readonly policy?: EvidencePolicy;
  readonly collateral?: TestCollateral;
  readonly bytes?: Uint8Array;
}): Promise<Examination> {
  const quote = Buffer.from(guest.quote(shape.quote)).toString('hex');
  const text = JSON.stringify({ quote, event_log: guest.eventLog, vm_config: guest.vmConfig });
  const read = readEvidence(shape.bytes ?? Buffer.from(text));
  if (!read.ok) throw new Error(read.failed.detail);
  return examineEvidence(read.value, {
    collateral: CollateralBundle.fromText(JSON.stringify(guest.platform.collateral(shape.collateral))),
    now: TEST_NOW,
    trustAnchors: [guest.platform.trustAnchor],
    policy: shape.policy ?? DEV,
  });
}

function verified(jwt: string, key: KeyObject): { header: Record<string, unknown>; claims: Record<string, unknown> } {
  const [header = '', claims = '', signature = ''] = jwt.split('.');
  const input = Buffer.from(`${header}.${claims}`);
  const bytes = Buffer.from(signature, 'base64url');
  const publicKey = createPublicKey(key);
  const good =
    key.asymmetricKeyType === 'ed25519'
      ? verify(null, input, publicKey, bytes)
      : verify('sha256', input, { key: publicKey, dsaEncoding: 'ieee-p1363' }, bytes);
  expect(good).toBe(true);
  const parse = (part: string) =>
    JSON.parse(Buffer.from(part, 'base64url').toString('utf8')) as Record<string, unknown>;
  return { header: parse(header), claims: parse(claims) };
}

describe('EAR', () => {
  it.each<[string, KeyObject]>([
    ['ES256', generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey],
    ['EdDSA', generateKeyPairSync('ed25519').privateKey],
  ])('is a JWT signed %s, with the claims of the draft', async (algorithm, key) => {
    const examination = await examine({});
    const jwt = signEar(earClaims(examination, { ...OPTIONS, nonce: new Uint8Array(8).fill(1) }), key);
    const { header, claims } = verified(jwt, key);
    expect(header).toMatchObject({ alg: algorithm, typ: 'JWT' });
    expect(header.kid).toMatch(/^[\w-]{43}$/);
    expect(claims).toMatchObject({
      eat_profile: EAR_PROFILE,
      iat: TEST_NOW.getTime() / 1000,
      exp: TEST_NOW.getTime() / 1000 + 3600,
      ear_verifier_id: { developer: 'https://vouch.example', build: 'test 1' },
      ear_status: 'warning',
      eat_nonce: 'AQEBAQEBAQE',
      submods: {
        tdx: {
          ear_status: 'warning',
          ear_trustworthiness_vector: { configuration: 2, executables: 32, hardware: 32, 'runtime-opaque': 32 },
          ear_attester_claims: { app_id: TEST_GUEST.appId, compose_hash: TEST_GUEST.composeHash },
          ear_verifier_claims: { verdict: 'accepted', tcb_status: 'UpToDate' },
        },
      },
    });
    const [header64 = '', , signature = ''] = jwt.split('.');
    const forged = `${header64}.${Buffer.from('{"ear_status":"affirming"}').toString('base64url')}.${signature}`;
    expect(() => verified(forged, key)).toThrow();
  });

  it('names the policy: the same id for the same policy only', async () => {
    const examination = await examine({});
    const id = (policy: EvidencePolicy) => {
      const facts = { ...examination.facts, policy };
      const { tdx } = earClaims({ ...examination, facts }, OPTIONS).submods;
      return (tdx as { ear_appraisal_policy_ids: string[] }).ear_appraisal_policy_ids[0];
    };
    expect(id(DEV)).toMatch(/^ni:\/\/\/sha-256;[\w-]{43}$/);
    expect(id({ ...DEV })).toBe(id(DEV));
    expect(id({ ...DEV, appIds: [] })).not.toBe(id(DEV));
  });

  it.each<[string, Parameters<typeof examine>[0], Record<string, number>, string]>([
    [
      'debug',
      { quote: { tdAttributes: '0100001000000000' } },
      { configuration: 96, 'runtime-opaque': 96 },
      'contraindicated',
    ],
    ['a revoked TCB', { collateral: { levels: [{ status: 'Revoked' }] } }, { hardware: 96 }, 'contraindicated'],
    [
      'a status accepted by name',
      { collateral: { levels: [{ status: 'OutOfDate' }] }, policy: { ...DEV, unsafeAcceptedStatuses: ['OutOfDate'] } },
      { hardware: 32 },
      'warning',
    ],
    ['a foreign root', { policy: {} }, { hardware: 96 }, 'contraindicated'],
    ['a wrong app', { policy: { ...DEV, appIds: ['00'.repeat(20)] } }, { 'instance-identity': 97 }, 'contraindicated'],
    ['the right app', { policy: { ...DEV, appIds: [TEST_GUEST.appId] } }, { 'instance-identity': 2 }, 'warning'],
    ['an unknown compose hash', { policy: { ...DEV, composeHashes: [] } }, { executables: 33 }, 'contraindicated'],
    ['a cut quote', { bytes: guest.quote().subarray(0, 2000) }, { hardware: 99 }, 'contraindicated'],
  ])('says %s in the vector', async (_what, shape, vector, tier) => {
    const examination = await examine(shape);
    expect(trustVector(examination)).toMatchObject(vector);
    expect(trustTier(trustVector(examination), examination)).toBe(tier);
  });

  it('affirms a quote alone only when nothing was weakened', async () => {
    const examination = await examine({ bytes: guest.quote() });
    expect(trustVector(examination)).toEqual({ configuration: 2, hardware: 32, 'runtime-opaque': 2 });
    // The same facts under Intel's root.
    const { verified: quote } = examination.facts;
    if (quote === null) throw new Error('the quote was not verified');
    const facts = { ...examination.facts, verified: { ...quote, trustAnchor: INTEL_SGX_ROOT } };
    const intel: Examination = { ...examination, facts };
    expect(trustTier(trustVector(intel), intel)).toBe('affirming');
  });

  it('refuses keys it cannot sign with, and nonces of the wrong size', async () => {
    const claims = earClaims(await examine({}), OPTIONS);
    const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' });
    for (const key of [p384.privateKey, generateKeyPairSync('x25519').privateKey, p384.publicKey]) {
      expect(() => signEar(claims, key)).toThrow(UnsupportedSigningKeyError);
      expect(() => earAlgorithm(key)).toThrow(UnsupportedSigningKeyError);
    }
    const examination = await examine({});
    for (const sizeBytes of [7, 65]) {
      expect(() => earClaims(examination, { ...OPTIONS, nonce: new Uint8Array(sizeBytes) })).toThrow(RangeError);
    }
  });
});
