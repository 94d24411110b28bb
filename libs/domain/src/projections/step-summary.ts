import type { EventEnvelope } from '../envelope.js';

/** One line, in the words of an operator, saying what an event means to the one who waits for an operation. */
export function summaryOf(envelope: EventEnvelope): string {
  switch (envelope.type) {
    case 'app.registered':
      return `app ${envelope.data.name} registered`;
    case 'release.created':
      return `release of ${envelope.data.name} created, compose hash ${envelope.data.composeHash}`;
    case 'host.registered':
      return `host ${envelope.data.hostId} registered (${envelope.data.driver})`;
    case 'host.cordoned':
      return `host ${envelope.data.hostId} cordoned${because(envelope.data.reason)}`;
    case 'host.uncordoned':
      return `host ${envelope.data.hostId} uncordoned`;
    case 'instance.created':
      return 'instance created';
    case 'instance.placed':
      return `placed on ${envelope.data.hostId}, epoch ${envelope.data.epoch}${because(envelope.data.reason)}`;
    case 'instance.stop-requested':
      return 'stop requested';
    case 'instance.remove-requested':
      return 'removal requested';
    case 'operation.requested':
      return `${envelope.data.command} requested by ${envelope.data.principal}`;
    case 'operation.waiting':
      return `waiting: ${envelope.data.reason}`;
    case 'operation.succeeded':
      return 'succeeded';
    case 'operation.failed':
      return `failed (${envelope.data.code}): ${envelope.data.reason}`;
    default:
      return observedSummary(envelope);
  }
}

type Observed = Exclude<
  EventEnvelope,
  {
    readonly type:
      | `app.${string}`
      | `release.${string}`
      | `host.${string}`
      | `instance.${string}`
      | `operation.${string}`;
  }
>;

function observedSummary(envelope: Observed): string {
  switch (envelope.type) {
    case 'vm.launched':
      return `guest launched (${envelope.data.driver})`;
    case 'vm.boot-progressed':
      return `${envelope.data.step}${because(envelope.data.detail)}`;
    case 'vm.app-healthy':
      return `app healthy${envelope.data.ports.length === 0 ? '' : ` on ${envelope.data.ports.join(', ')}`}`;
    case 'vm.launch-failed':
      return `launch failed (${envelope.data.code}): ${envelope.data.reason}`;
    case 'vm.exited':
      return `guest exited (${envelope.data.exitCode ?? 'signal'})${because(envelope.data.reason)}`;
    case 'vm.removed':
      return 'guest removed';
    case 'attestation.submitted':
      return 'evidence submitted';
    case 'grant.issued':
      return `keys granted: ${passedChecks(envelope.data.checks)}`;
    case 'grant.denied':
      return `keys denied, ${envelope.data.failedCheck}: ${envelope.data.reason}`;
    case 'kms.bootstrapped':
      return `key service ${envelope.data.kmsId} ready`;
    case 'kms.collateral-recorded':
      return `collateral recorded for ${envelope.data.fmspc}`;
    case 'kms.key-epoch-prepared':
      return `key epoch ${envelope.data.keyEpoch} prepared`;
    case 'kms.key-epoch-activated':
      return `key epoch ${envelope.data.keyEpoch} active`;
    case 'kms.key-epoch-tainted':
      return `key epoch ${envelope.data.keyEpoch} tainted: ${envelope.data.reason}`;
    case 'kms.key-epoch-revoked':
      return `key epoch ${envelope.data.keyEpoch} revoked: ${envelope.data.reason}`;
    case 'certificate.issued':
      return `certificate issued for ${envelope.data.subject}`;
    case 'policy.changed':
      return `policy ${envelope.data.name} ${envelope.data.enabled ? 'set' : 'unset'} at block ${envelope.data.block}`;
    case 'policy.change-orphaned':
      return `policy change of block ${envelope.data.block} is no longer on the chain`;
    case 'dstack.app-keys-released':
      return `keys released to dstack app ${envelope.data.appId}: ${passedChecks(envelope.data.checks)}`;
    case 'dstack.root-keys-released':
      return `root keys released to another key server: ${passedChecks(envelope.data.checks)}`;
    case 'dstack.certificate-signed':
      return `certificate signed for dstack app ${envelope.data.appId}`;
    case 'dstack.release-refused':
      return `${envelope.data.method} refused, ${envelope.data.failedCheck}: ${envelope.data.reason}`;
    case 'gateway.node-joined':
      return `gateway ${envelope.data.nodeId} joined`;
  }
}

function because(detail: string): string {
  return detail === '' ? '' : `: ${detail}`;
}

/** Skipped checks are named as skipped, never counted as passed. */
function passedChecks(checks: readonly { readonly outcome: string }[]): string {
  const passed = checks.filter((check) => check.outcome === 'pass').length;
  const skipped = checks.filter((check) => check.outcome === 'skipped').length;
  return `${passed} checks passed${skipped === 0 ? '' : `, ${skipped} skipped`}`;
}
