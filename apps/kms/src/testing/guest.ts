import { grantReportData } from '@vouch/attestation';
import type { BootInfo } from '@vouch/contracts';
import { type Claims, canonicalJson, type EventData, type InstanceState, type ReleaseState } from '@vouch/domain';
import { generateHpkeKeyPair, generateP256, type HpkeKeyPair } from '@vouch/keys';
import type { ChallengePlace, ChallengeUse } from '../challenge/challenge-book.js';
import { type AppraisedFacts, EVIDENCE_CHECKS, type EvidenceOutcome } from '../evidence/appraised-facts.js';
import type { DecisionPorts } from '../grant/decision-ports.js';
import type { GrantRequest } from '../grant/grant-request.js';
import type { PlacementView } from '../placement/placement-view.js';
import type { PolicyDecision } from '../policy/policy-source.js';
import { initialKeyEpochs, type KeyEpochs } from '../root/key-epochs.js';

export const APP_ID = 'aa'.repeat(20);
export const INSTANCE_ID = '1b'.repeat(20);
export const RELEASE_ID = '2c'.repeat(16);
export const COMPOSE_HASH = 'cc'.repeat(32);
export const OS_IMAGE = '05'.repeat(32);
export const CONTRACT = 'd5'.repeat(20);
export const REQUEST_ID = '0b9d2b3e-6f1a-4b8e-9f0e-3a1d5a1c7e11';
export const NOW = new Date('2026-05-01T12:00:00.000Z');

const collateral = {
  digest: '77'.repeat(32),
  fmspc: '00906ed50000',
  collateral: {
    pck_crl_issuer_chain: 'a',
    root_ca_crl: 'b',
    pck_crl: 'c',
    tcb_info_issuer_chain: 'd',
    tcb_info: 'e',
    tcb_info_signature: 'f',
    qe_identity_issuer_chain: 'g',
    qe_identity: 'h',
    qe_identity_signature: 'i',
  },
} as const;

const placed: Extract<InstanceState, { status: 'created' }> = {
  status: 'created',
  instanceId: INSTANCE_ID,
  appId: APP_ID,
  releaseId: RELEASE_ID,
  composeHash: COMPOSE_HASH,
  seed: '3d'.repeat(20),
  placement: { hostId: 'host-1', epoch: 2, address: '127.16.0.5' },
  desired: 'running',
};

const release: ReleaseState = {
  status: 'created',
  releaseId: RELEASE_ID,
  appId: APP_ID,
  composeHash: COMPOSE_HASH,
  appCompose: '{}',
  name: 'hello',
  resources: { vcpu: 1, memoryMiB: 512, diskGiB: 1 },
  encryptedEnv: '',
  ports: [8080],
};

/** A guest of a placed instance with honest evidence, and a world that grants it keys: change one thing per test. */
export class TestGuest implements DecisionPorts {
  readonly hpke: HpkeKeyPair;
  claims: Claims;
  /** What the host submitted under; honest hosts copy the claims. */
  place = { hostId: 'host-1', instanceId: INSTANCE_ID, epoch: 2 };
  facts: AppraisedFacts;
  evidence: EvidenceOutcome | undefined;
  challengeUse: ChallengeUse = { ok: true };
  readonly challengeUses: [string, ChallengePlace, string][] = [];
  view: PlacementView = { instance: placed, release };
  bootPolicy: PolicyDecision = {
    isAllowed: true,
    reason: '',
    gatewayAppId: '',
    origin: { source: 'contract', chainId: 31337, contract: CONTRACT, block: 7, blockHash: 'b1'.repeat(32) },
    asOf: new Date(NOW.getTime() - 5_000),
  };
  /** What the policy was asked. */
  readonly policyReads: BootInfo[] = [];
  policyError: Error | undefined;
  epochs: KeyEpochs = initialKeyEpochs;

  private constructor(hpke: HpkeKeyPair) {
    this.hpke = hpke;
    this.claims = {
      version: 1,
      challenge: 'ce'.repeat(32),
      hostId: 'host-1',
      appId: APP_ID,
      instanceId: INSTANCE_ID,
      epoch: 2,
      hpkeKey: Buffer.from(hpke.publicKey).toString('hex'),
      wireguardKey: 'e1'.repeat(32),
      tlsKey: Buffer.from(generateP256().spki).toString('hex'),
    };
    this.facts = {
      identity: {
        appId: APP_ID,
        composeHash: COMPOSE_HASH,
        instanceId: INSTANCE_ID,
        osImageHash: null,
        rootfsHash: null,
        gpuPolicyHash: null,
        initScriptHashes: [],
        keyProviderInfo: null,
        bootMrDone: true,
        systemReady: false,
      },
      reportData: new Uint8Array(64),
      osImageHash: OS_IMAGE,
      mrAggregated: 'a1'.repeat(32),
      mrSystem: 'a2'.repeat(32),
      deviceId: 'de'.repeat(32),
      tcbStatus: 'UpToDate',
      advisoryIds: [],
      unsafe: ['unsafeProcessGuest'],
    };
    this.quoteClaims();
  }

  static async make(): Promise<TestGuest> {
    return new TestGuest(await generateHpkeKeyPair());
  }

  /** Has the quote cover the claims as they are now. */
  quoteClaims(): void {
    this.facts = { ...this.facts, reportData: grantReportData(canonicalJson(this.claims)) };
  }

  get submission(): EventData<'attestation.submitted'> {
    return { ...this.place, evidence: { quote: '', eventLog: '[]', vmConfig: '{}' }, claims: this.claims };
  }

  get request(): GrantRequest {
    return { requestId: REQUEST_ID, requestSeq: 41, data: this.submission };
  }

  async appraise(): Promise<EvidenceOutcome> {
    const checks = EVIDENCE_CHECKS.map((name) => ({ name, outcome: 'pass' as const, detail: 'fine' }));
    return this.evidence ?? { ok: true, facts: this.facts, checks, collateral };
  }

  /** Evidence that fails at `name`, with what came before passed. */
  failEvidenceAt(name: string, detail: string): void {
    const at = EVIDENCE_CHECKS.indexOf(name);
    if (at < 0) throw new RangeError(`no evidence check ${name}`);
    const passed = EVIDENCE_CHECKS.slice(0, at).map((earlier) => ({
      name: earlier,
      outcome: 'pass' as const,
      detail: '',
    }));
    this.evidence = { ok: false, checks: [...passed, { name, outcome: 'fail', detail }], collateral: null };
  }

  async useChallenge(challenge: string, place: ChallengePlace, requestId: string): Promise<ChallengeUse> {
    this.challengeUses.push([challenge, place, requestId]);
    return this.challengeUse;
  }

  async placement(): Promise<PlacementView> {
    return this.view;
  }

  /** Changes the instance as the log has it. */
  instanceIs(change: Partial<Extract<InstanceState, { status: 'created' }>>): void {
    this.view = { ...this.view, instance: { ...placed, ...change } };
  }

  async policy(info: BootInfo): Promise<PolicyDecision> {
    this.policyReads.push(info);
    if (this.policyError !== undefined) throw this.policyError;
    return this.bootPolicy;
  }

  async keyEpochs(): Promise<KeyEpochs> {
    return this.epochs;
  }

  now(): Date {
    return NOW;
  }
}
