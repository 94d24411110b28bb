import { AgentFailure } from '../agent-failure.js';
import type { AgentLog } from '../agent-log.js';
import { BackOff, persist } from '../host/back-off.js';
import type { Challenge, HostClient } from '../host/host-client.js';
import type { ProgressReporter } from '../host/progress-reporter.js';
import { UnixRequestError } from '../host/unix-json.js';
import type { RuntimeEventLog } from '../tsm/runtime-event-log.js';
import type { BootEventJson, TsmClient } from '../tsm/tsm-client.js';
import { type BoundEvidence, type GuestIdentity, gatherEvidence } from './evidence.js';
import { type OpenedGrant, openGrant } from './open-grant.js';
import { readSealedMessage } from './sealed-message.js';
import { knownRoots, type VerifiedDecision, verifyDecision } from './verify-decision.js';

/** How long after a challenge expired a decision on it may still come (the KMS was down, or is catching up). */
const DECISION_GRACE_MS = 60_000;
/** A denial about the challenge alone is no verdict on the guest; it asks again, but not for ever. */
const CHALLENGE_DENIALS_MAX = 5;

export interface GrantSeeker {
  readonly identity: GuestIdentity;
  readonly host: HostClient;
  readonly tsm: TsmClient;
  readonly events: RuntimeEventLog;
  readonly progress: ProgressReporter;
  readonly log: AgentLog;
  readonly signal: AbortSignal;
}

/**
 * Asks until there is a decision: challenge, quote, evidence to the host, wait. Worker, simulator, bus and KMS may restart
 * at any time in between; a challenge that expired without a decision is replaced by a new one. Throws AgentFailure
 * `grant-denied` with the KMS's reason, or why a decision cannot be accepted.
 */
export async function obtainGrant(seeker: GrantSeeker): Promise<OpenedGrant> {
  const { identity, progress } = seeker;
  const bootLog = await seeker.tsm.persistently(() => seeker.tsm.bootLog());
  const backOff = new BackOff(seeker.signal);
  for (let denials = 0; ; ) {
    const decision = await attempt(seeker, bootLog);
    if (decision === undefined) {
      progress.report('waiting-for-grant', 'the challenge expired without a decision; asking again with a new one');
      continue;
    }
    if (decision.outcome === 'issued') {
      const { trust } = identity.shared.sysConfig.vouch;
      const root = knownRoots(trust).find(({ rootCaSpki }) => rootCaSpki === decision.rootCaSpki);
      return await openGrant(decision, identity.keys.hpke.privateKey, root?.k256Pub);
    }
    const { failedCheck, reason } = decision.denial;
    denials += 1;
    if (!failedCheck.startsWith('challenge') || denials >= CHALLENGE_DENIALS_MAX) {
      throw new AgentFailure('grant-denied', `the KMS denied the keys: check ${failedCheck}: ${reason}`);
    }
    progress.report('waiting-for-grant', `${failedCheck}: ${reason}; asking again with a new challenge`);
    await backOff.wait();
  }
}

/** One challenge's worth of asking; undefined when it expired without a decision or its evidence got lost on the way. */
async function attempt(seeker: GrantSeeker, bootLog: readonly BootEventJson[]): Promise<VerifiedDecision | undefined> {
  const { identity, host, tsm, events, progress, signal } = seeker;
  const challenge = await persist(() => host.challenge(), signal, reporter(seeker, 'asking for a challenge'));
  const bound = await persist(
    () => gatherEvidence(identity, challenge.challenge, { tsm, events, bootLog }),
    signal,
    reporter(seeker, 'getting a quote'),
  );
  progress.report('quoted', `${bound.evidence.quote.length} characters of quote over the claims`);
  const requestId = await submit(seeker, bound, challenge);
  if (requestId === undefined) return undefined;
  progress.report('evidence-submitted', `request ${requestId}`);
  const message = await waitForDecision(seeker, requestId, challenge);
  if (message === undefined) return undefined;
  return verifyDecision(readSealedMessage(message), {
    requestId,
    claims: bound.claims,
    composeHash: identity.shared.composeHash,
    pinnedRoot: identity.shared.appCompose.key_provider_id,
    trust: identity.shared.sysConfig.vouch.trust,
  });
}

/**
 * Hands the evidence over; the same evidence again is the same request, so a lost answer is asked for again. Undefined when
 * the challenge expired meanwhile.
 */
async function submit(seeker: GrantSeeker, bound: BoundEvidence, challenge: Challenge): Promise<string | undefined> {
  const onFailure = reporter(seeker, 'handing the evidence over');
  const backOff = new BackOff(seeker.signal);
  while (Date.now() < challenge.expiresAt.getTime()) {
    try {
      return await seeker.host.attest(bound.evidence, bound.claims);
    } catch (error) {
      if (!(error instanceof UnixRequestError && error.retryable)) throw error;
      onFailure(error);
      await backOff.wait();
    }
  }
  return undefined;
}

async function waitForDecision(seeker: GrantSeeker, requestId: string, challenge: Challenge): Promise<unknown> {
  const { host, signal } = seeker;
  const onFailure = reporter(seeker, 'waiting for the decision');
  const backOff = new BackOff(signal);
  while (Date.now() < challenge.expiresAt.getTime() + DECISION_GRACE_MS) {
    try {
      const message = await host.grant(requestId);
      if (message !== undefined) return message;
      backOff.reset();
    } catch (error) {
      if (!(error instanceof UnixRequestError && error.retryable)) throw error;
      onFailure(error);
      await backOff.wait();
    }
  }
  return undefined;
}

/** Logs every failure, and tells the host about the first of a kind: what the guest is waiting for. */
function reporter({ log, progress }: GrantSeeker, doing: string): (error: UnixRequestError) => void {
  let reported = '';
  return (error) => {
    log.warn(`${doing} failed; trying again`, { error: error.message });
    if (reported === error.message) return;
    reported = error.message;
    progress.report('waiting', `${doing}: ${error.message}`);
  };
}
