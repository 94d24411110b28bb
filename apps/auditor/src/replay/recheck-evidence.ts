import { createHash } from 'node:crypto';
import {
  type AppraisalPolicy,
  appraise,
  bindEventLog,
  type EventLogIdentity,
  grantReportData,
  identityFromEventLog,
  type ParsedQuote,
  parseQuote,
  processMeasurements,
  type QuoteCollateralV3,
  readProcessVmConfig,
  type TrustAnchor,
  verifyParsedQuote,
} from '@vouch/attestation';
import { type Check, canonicalBytes, canonicalJson, type EventData } from '@vouch/domain';

/** What one decision rested on, all of it from the log. */
export interface LoggedEvidence {
  readonly request: EventData<'attestation.submitted'>;
  /** Of the digest the decision names; undefined when the log does not hold it. */
  readonly collateral: QuoteCollateralV3 | undefined;
  readonly collateralDigest: string | null;
  /** Weakenings the decision names. */
  readonly unsafe: readonly string[];
  /** When it was decided. */
  readonly at: Date;
}

export interface RecheckedEvidence {
  /** The checks that ran again, by name. */
  readonly checks: ReadonlyMap<string, Check>;
  /** What the guest measured; undefined when a stage before it refused. */
  readonly identity: EventLogIdentity | undefined;
  /** Why nothing more could run, or undefined. */
  readonly stopped: string | undefined;
}

/** Runs the verification of one decision's evidence again: the same bytes, collateral and time, so the same answer. */
export function recheckEvidence(logged: LoggedEvidence, anchors: readonly TrustAnchor[]): RecheckedEvidence {
  const checks = new Map<string, Check>();
  const add = (found: readonly Check[]) => {
    for (const check of found) checks.set(check.name, check);
  };
  const end = (stopped: string | undefined, identity?: EventLogIdentity) => ({ checks, identity, stopped });
  const { evidence } = logged.request;
  const parsed = parseQuote(new Uint8Array(Buffer.from(evidence.quote, 'base64')));
  add(parsed.checks);
  if (!parsed.ok) return end('the quote does not parse');
  const { collateral } = logged;
  if (collateral === undefined) return end('the log holds no collateral of the digest the decision names');
  const digest = createHash('sha256').update(canonicalBytes(collateral)).digest('hex');
  add([found('collateral.available', digest === logged.collateralDigest, `digest ${digest}`)]);
  const options = { now: logged.at, ...(anchors.length === 0 ? {} : { trustAnchors: [...anchors] }) };
  const verified = verifyParsedQuote(parsed.quote, collateral, options);
  add(verified.checks);
  if (!verified.ok) return end('the quote does not verify');
  const appraised = appraise(verified.quote, appraisalPolicy(logged.unsafe));
  add(appraised.checks);
  if (!appraised.ok) return end('the appraisal refuses');
  const bound = bindEventLog(appraised.evidence, evidence.eventLog);
  const replayed = bound.ok ? `${bound.log.events.length} events replay to RTMR0-3` : bound.failed.detail;
  add([found('event-log.replay', bound.ok, replayed)]);
  if (!bound.ok) return end('the event log does not replay');
  const identity = identityFromEventLog(bound.log);
  add(identity.checks);
  if (!identity.ok) return end('the event log names no identity');
  add(recheckImage(parsed.quote, evidence.vmConfig));
  add([recheckClaims(logged.request, appraised.evidence.verified.quote.report.reportData, identity.identity)]);
  return end(undefined, identity.identity);
}

/** The weakenings the event names are in force again; everything else is as strict as it can be. */
function appraisalPolicy(unsafe: readonly string[]): AppraisalPolicy {
  return {
    ...(unsafe.includes('unsafeTrustAnchor') ? { unsafeTrustAnchorAccepted: true as const } : {}),
    ...(unsafe.includes('unsafeDebugAccepted') ? { unsafeDebugAccepted: true as const } : {}),
    ...(unsafe.includes('unsafeSeptVeNotRequired') ? { unsafeSeptVeNotRequired: true as const } : {}),
    ...(unsafe.includes('unsafeServiceTdAccepted') ? { unsafeServiceTdAccepted: true as const } : {}),
  };
}

/** Boot measurements of a process guest follow from its vm_config; other images have no rule here. */
function recheckImage({ report }: ParsedQuote, vmConfig: string): Check[] {
  if (report.kind === 'sgx' || !vmConfig.includes('"vouch_driver"')) return [];
  const reading = readProcessVmConfig(vmConfig);
  if (!reading.ok) return [found('os-image.measurement', false, reading.reason)];
  const expected = processMeasurements(reading.config);
  const wrong = (['mrTd', 'rtMr0', 'rtMr1', 'rtMr2'] as const).filter(
    (register) => Buffer.compare(expected[register], report[register]) !== 0,
  );
  const detail = wrong.length === 0 ? `process image ${reading.config.osImageHash}` : `${wrong.join(', ')} differ`;
  return [found('os-image.measurement', wrong.length === 0, detail)];
}

function recheckClaims(
  { claims, hostId, instanceId, epoch }: EventData<'attestation.submitted'>,
  reportData: Uint8Array,
  identity: EventLogIdentity,
): Check {
  const isBound =
    Buffer.compare(grantReportData(canonicalJson(claims)), reportData) === 0 &&
    claims.hostId === hostId &&
    claims.instanceId === instanceId &&
    claims.epoch === epoch &&
    claims.appId === identity.appId &&
    claims.instanceId === identity.instanceId;
  return found('claims.bound', isBound, isBound ? 'report data covers the claims' : 'report data and claims part');
}

function found(name: string, holds: boolean, detail: string): Check {
  return { name, outcome: holds ? 'pass' : 'fail', detail };
}
