import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import {
  appraise,
  bindEventLog,
  grantReportData,
  identityFromEventLog,
  parseQuote,
  type QuoteCollateralV3,
  trustAnchorFromPem,
  verifyParsedQuote,
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
import type { Command } from 'commander';
import { ApiClient } from '../api-client.js';
import { type Context, readContext } from '../context.js';
import { CliFailure, exitCodes, misuse } from '../failure.js';
import { outputForm, print } from '../output.js';
import type { EventRow } from './fleet-types.js';

interface GrantRef {
  readonly requestId: string;
  readonly grantSeq: number;
  readonly outcome: string;
}

/** `vouch verify <instance>`: checks the newest grant of an instance from its receipts and evidence, not from the API's word. */
export function addVerifyCommand(program: Command): void {
  program
    .command('verify')
    .description(
      're-check the grant of an instance: log receipt, signatures, and the quote again from its logged evidence',
    )
    .argument('<instance>', 'instance id')
    .option('-o, --output <form>', 'table or json', 'table')
    .action(async (instance: string, options: { output: string }) => {
      const form = outputForm(options.output);
      const checks = await verifyGrant(readContext(), instance);
      if (form === 'json')
        print(JSON.stringify({ instance, ok: checks.every(({ outcome }) => outcome !== 'fail'), checks }, null, 2));
      else for (const check of checks) print(`${check.outcome.padEnd(7)} ${check.name.padEnd(36)} ${check.detail}`);
      if (checks.some(({ name, outcome }) => name === 'grant.outcome' && outcome === 'fail'))
        process.exitCode = exitCodes.denied;
      else if (checks.some(({ outcome }) => outcome === 'fail')) process.exitCode = exitCodes.badEvidence;
    });
}

async function verifyGrant(context: Context, instance: string): Promise<readonly Check[]> {
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
  if (grant === null) return checks;
  if (grant.envelope.type !== 'grant.issued' && grant.envelope.type !== 'grant.denied') {
    return [...checks, fail('grant.type', `event ${newest.grantSeq} is ${grant.envelope.type}`)];
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
  if (request?.envelope.type === 'attestation.submitted') {
    const evidence = request.envelope.data as EventData<'attestation.submitted'>;
    checks.push(...(await recheck(context, api, log, evidence, data, new Date(grant.envelope.time))));
  }
  return checks;
}

/** Runs the quote and event-log verification again, from the logged bytes, at the grant's logged time. */
async function recheck(
  context: Context,
  api: ApiClient,
  log: LogReader,
  { evidence, claims }: EventData<'attestation.submitted'>,
  grant: Pick<EventData<'grant.issued'>, 'collateralDigest' | 'requestId'>,
  now: Date,
): Promise<readonly Check[]> {
  const parsed = parseQuote(Buffer.from(evidence.quote, 'base64'));
  if (!parsed.ok) return parsed.checks;
  const collateral = await findCollateral(api, log, grant.collateralDigest);
  if (collateral === null)
    return [...parsed.checks, skipped('quote.verification', 'the log holds no collateral for this decision')];
  const anchorFile = context.unsafeTrustAnchorFile;
  const development = anchorFile !== undefined && existsSync(anchorFile);
  const verified = verifyParsedQuote(parsed.quote, collateral, {
    now,
    ...(development ? { trustAnchors: [trustAnchorFromPem(readFileSync(anchorFile, 'utf8'))] } : {}),
  });
  if (!verified.ok) return [...parsed.checks, ...verified.checks];
  const appraised = appraise(verified.quote, {
    reportData: grantReportData(canonicalJson(claims)),
    ...(development ? { unsafeTrustAnchorAccepted: true as const } : {}),
  });
  const soFar = [...parsed.checks, ...verified.checks, ...appraised.checks];
  if (!appraised.ok) return soFar;
  const bound = bindEventLog(appraised.evidence, evidence.eventLog);
  if (!bound.ok) return [...soFar, ...bound.checks];
  return [...soFar, ...bound.checks, ...identityFromEventLog(bound.log).checks];
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
