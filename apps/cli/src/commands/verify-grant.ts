import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import {
  type EvidencePolicy,
  type Examination,
  examineEvidence,
  grantReportData,
  type QuoteCollateralV3,
  readJsonEvidence,
  trustAnchorFromPem,
} from '@vouch/attestation';
import {
  type AuthoredEvent,
  type Check,
  canonicalBytes,
  canonicalJson,
  type EventData,
  ed25519PublicKey,
  KeyDirectory,
  readEvent,
  subjectOf,
  trustFileSchema,
  verifyAuthor,
} from '@vouch/domain';
import { verifyEndorsement } from '@vouch/keys';
import { verifyReceipt } from '@vouch/transparency';
import { ApiClient } from '../api-client.js';
import type { Context } from '../context.js';
import { CliFailure, exitCodes, misuse } from '../failure.js';
import type { EventRow } from './fleet-types.js';

interface GrantRef {
  readonly requestId: string;
  readonly grantSeq: number;
  readonly outcome: string;
}

export interface GrantVerification {
  /** Receipts, signatures and what the KMS itself checked (`kms:…`), in order. */
  readonly checks: readonly Check[];
  /** The evidence examined again from the log; null when the log does not hold enough for it. */
  readonly examination: Examination | null;
}

/**
 * Checks the newest grant of an instance from its receipts, not from the API's word, and examines its logged evidence
 * again, at the grant's logged time and with the collateral it was decided by, under `policy` as well.
 */
export async function verifyGrant(
  context: Context,
  instance: string,
  policy: EvidencePolicy,
): Promise<GrantVerification> {
  const { auditUrl, trustFile } = context;
  if (auditUrl === undefined || trustFile === undefined)
    throw misuse('this context names no audit log', 'add auditUrl and trustFile to the context file');
  const api = new ApiClient(context);
  const { items } = await api.get<{ items: GrantRef[] }>('/v1/grants', { instanceId: instance });
  const newest = [...items].sort((a, b) => b.grantSeq - a.grantSeq)[0];
  if (newest === undefined)
    throw misuse(`no grant was decided for instance ${instance} yet`, 'see: vouch get instance <id>');
  const log = new LogReader(
    context,
    auditUrl,
    new KeyDirectory(trustFileSchema.parse(JSON.parse(readFileSync(trustFile, 'utf8')))),
  );
  const checks: Check[] = [];
  const grant = await log.prove(newest.grantSeq, 'grant', checks);
  if (grant === null) return { checks, examination: null };
  if (grant.envelope.type !== 'grant.issued' && grant.envelope.type !== 'grant.denied') {
    checks.push(fail('grant.type', `event ${newest.grantSeq} is ${grant.envelope.type}`));
    return { checks, examination: null };
  }
  checks.push(kmsEndorsed(log.directory));
  const data = grant.envelope.data as EventData<'grant.issued'> | EventData<'grant.denied'>;
  checks.push(
    grant.envelope.type === 'grant.issued'
      ? pass(
          'grant.outcome',
          `issued at ${grant.envelope.time} in key epoch ${'keyEpoch' in data ? data.keyEpoch : '-'}`,
        )
      : fail('grant.outcome', 'reason' in data ? `denied: ${data.reason}` : 'denied'),
  );
  checks.push(...data.checks.map((check) => ({ ...check, name: `kms:${check.name}` })));
  const request = await log.prove(data.requestSeq, 'evidence', checks);
  if (request?.envelope.type !== 'attestation.submitted') return { checks, examination: null };
  const { evidence, claims } = request.envelope.data as EventData<'attestation.submitted'>;
  const collateral = await findCollateral(api, log, data.collateralDigest);
  if (collateral === null) {
    checks.push(skipped('quote.verification', 'the log holds no collateral for this decision'));
    return { checks, examination: null };
  }
  const demands = { ...policy, reportData: grantReportData(canonicalJson(claims)) };
  const examination = await recheck(context, evidence, collateral, demands, new Date(grant.envelope.time));
  return { checks, examination };
}

/** Runs the whole examination again, from the logged bytes alone. */
async function recheck(
  { unsafeTrustAnchorFile }: Context,
  { quote, eventLog, vmConfig }: EventData<'attestation.submitted'>['evidence'],
  collateral: QuoteCollateralV3,
  policy: EvidencePolicy,
  now: Date,
): Promise<Examination> {
  const read = readJsonEvidence(JSON.stringify({ quote, eventLog, vmConfig }));
  if (!read.ok)
    throw new CliFailure(exitCodes.badEvidence, `the logged evidence cannot be read: ${read.failed.detail}`);
  const development = unsafeTrustAnchorFile !== undefined && existsSync(unsafeTrustAnchorFile);
  return examineEvidence(read.value, {
    collateral: { collateralFor: async () => collateral },
    now,
    ...(development
      ? {
          trustAnchors: [trustAnchorFromPem(readFileSync(unsafeTrustAnchorFile, 'utf8'))],
          policy: { ...policy, unsafeTrustAnchorAccepted: true, unsafeProcessGuestAccepted: true },
        }
      : { policy }),
  });
}

async function findCollateral(
  api: ApiClient,
  log: LogReader,
  digest: string | null,
): Promise<QuoteCollateralV3 | null> {
  if (digest === null) return null;
  const { items } = await api.get<{ items: EventRow[] }>('/v1/events', {
    type: 'kms.collateral-recorded',
    limit: 1000,
  });
  for (const { seq } of [...items].reverse()) {
    const proven = await log.prove(seq, 'collateral', []);
    if (proven?.envelope.type !== 'kms.collateral-recorded') continue;
    const { collateral } = proven.envelope.data as EventData<'kms.collateral-recorded'>;
    if (createHash('sha256').update(canonicalBytes(collateral)).digest('hex') === digest)
      return collateral as unknown as QuoteCollateralV3;
  }
  return null;
}

/** Fetches receipts and takes nothing from them that does not lead to a checkpoint signed by the log in the context. */
class LogReader {
  constructor(
    private readonly context: Context,
    private readonly auditUrl: string,
    readonly directory: KeyDirectory,
  ) {}

  /** The event at `seq`, with checks `<what>.receipt` and `<what>.author`; null when one of them fails. */
  async prove(seq: number, what: string, checks: Check[]): Promise<AuthoredEvent | null> {
    try {
      const { event: bytes, checkpoint } = verifyReceipt(await this.#receipt(seq), {
        origin: this.context.log.origin,
        publicKey: ed25519PublicKey(this.context.log.publicKey),
      });
      checks.push(
        pass(
          `${what}.receipt`,
          `event ${seq} is in the log of ${checkpoint.size} events with root ${Buffer.from(checkpoint.root).toString('hex').slice(0, 16)}…`,
        ),
      );
      const { subject } = JSON.parse(Buffer.from(bytes).toString('utf8')) as { subject: string };
      const event = readEvent(bytes, subject);
      verifyAuthor(event, this.directory);
      checks.push(
        pass(
          `${what}.author`,
          `${event.envelope.type} on ${subjectOf(event.envelope.type, event.envelope.data as never)} signed by ${event.envelope.keyid}`,
        ),
      );
      return event;
    } catch (error) {
      if (error instanceof CliFailure) throw error;
      checks.push(fail(`${what}.receipt`, (error as Error).message));
      return null;
    }
  }

  async #receipt(seq: number): Promise<unknown> {
    let response: Response;
    try {
      response = await fetch(new URL(`/log/receipt/${seq}`, this.auditUrl));
    } catch (cause) {
      throw new CliFailure(
        exitCodes.network,
        `the audit log at ${this.auditUrl} does not answer`,
        'is the auditor up? run `vouch status`',
        { cause },
      );
    }
    if (!response.ok)
      throw new CliFailure(
        exitCodes.network,
        `the audit log gave no receipt for event ${seq} (HTTP ${response.status})`,
      );
    return response.json();
  }
}

function kmsEndorsed({ trust }: KeyDirectory): Check {
  const key = trust.keys.find(({ service }) => service === 'kms');
  if (trust.kmsRoot === undefined || key === undefined)
    return skipped('kms.endorsement', 'the trust file pins no KMS root');
  const endorsed = verifyEndorsement({
    rootCaSpki: Buffer.from(trust.kmsRoot.rootCaSpki, 'hex'),
    eventKey: Buffer.from(key.publicKey, 'base64url'),
    endorsement: Buffer.from(trust.kmsRoot.endorsement, 'base64'),
  });
  return endorsed
    ? pass('kms.endorsement', 'the KMS event key is endorsed by the pinned root key')
    : fail('kms.endorsement', 'the root key did not endorse the KMS event key');
}

const pass = (name: string, detail: string): Check => ({ name, outcome: 'pass', detail });
const fail = (name: string, detail: string): Check => ({ name, outcome: 'fail', detail });
const skipped = (name: string, detail: string): Check => ({ name, outcome: 'skipped', detail });
