import { createHash, randomUUID } from 'node:crypto';
import { type Check, type EventData, subjectOf } from '@vouch/domain';
import type { EventStore } from '@vouch/eventstore';
import type { EventWriter, FieldLogger } from '@vouch/platform';
import { CheckLedger } from '../../checks/check-ledger.js';
import type { CollateralRecorder } from '../../collateral/collateral-recorder.js';
import type { ReceiptSource } from '../../grant/receipt-source.js';
import { type JudgedEvidence, PRESENTED_CHECKS } from '../guest/judge-evidence.js';
import { PrpcError } from '../prpc/prpc-error.js';
import type { AllowedRelease, RefusedRelease } from './release-verdict.js';

type ReleaseType = 'dstack.app-keys-released' | 'dstack.root-keys-released' | 'dstack.certificate-signed';
export type ReleaseMethod = EventData<'dstack.release-refused'>['method'];
type Release = Omit<EventData<'dstack.root-keys-released'>, 'requestId' | 'method'>;

export interface ReleaseLogParts {
  readonly kmsId: string;
  readonly keyEpoch: number;
  readonly store: EventStore;
  readonly writer: EventWriter;
  readonly receipts: ReceiptSource;
  readonly collateral: CollateralRecorder;
  readonly logger: FieldLogger;
}

const REASON_LIMIT = 2000;
const VM_CONFIG_LIMIT = 32 * 1024;

/** Events of this wire. What is released is in the log, and proven to be, before it leaves. */
export class ReleaseLog {
  constructor(private readonly parts: ReleaseLogParts) {}

  /**
   * Resolves when the event is stored and a signed checkpoint covers it: only then may the answer leave. Throws retryable
   * errors (log, auditor away); nothing may be released then, though the log may say it was.
   */
  async released<T extends ReleaseType>(
    type: T,
    method: ReleaseMethod,
    verdict: AllowedRelease,
    more: Omit<EventData<T>, keyof EventData<'dstack.root-keys-released'>>,
  ): Promise<void> {
    const { judged } = verdict;
    if (judged.collateral !== null) await this.parts.collateral.record(judged.collateral);
    const requestId = randomUUID();
    const data = { ...this.#release(verdict), requestId, method, ...more } as unknown as EventData<T>;
    const { appId } = verdict.bootInfo;
    const outcome = await this.parts.writer.write(type, data, { actor: `dstack-guest/${appId}` });
    if (!outcome.ok) throw new PrpcError('the log could not take the release; nothing was released', true);
    const bytes = await this.#bytesAt(outcome.seq, subjectOf(type, data));
    await this.parts.receipts.receiptOf(outcome.seq, bytes);
    this.parts.logger.info({ requestId, method, appId, seq: outcome.seq }, 'released over the dstack wire');
  }

  /**
   * Puts a refusal into the log when a genuine platform made the evidence. What anyone could have made up is only reported by
   * the service: an open port must not be a way to fill a log that is kept for ever.
   */
  async refused(method: ReleaseMethod, verdict: RefusedRelease): Promise<void> {
    const { judged, failed } = verdict;
    const appId = judged.guest?.identity.appId ?? null;
    this.parts.logger.warn(
      { method, appId, check: failed.name, reason: failed.detail },
      'refused over the dstack wire',
    );
    if (!judged.isGenuine) return;
    if (judged.collateral !== null) await this.parts.collateral.record(judged.collateral);
    const requestId = randomUUID();
    const data: EventData<'dstack.release-refused'> = {
      ...this.#decision(verdict),
      ...{ requestId, method, appId, composeHash: judged.guest?.identity.composeHash ?? null },
      policy: verdict.policy,
      failedCheck: failed.name,
      reason: (failed.detail || 'refused').slice(0, REASON_LIMIT),
    };
    const actor = `dstack-guest/${appId ?? 'unknown'}`;
    await this.parts.writer.write('dstack.release-refused', data, { actor });
  }

  /** The same for evidence that failed before anything was asked of it. */
  async refusedEvidence(
    method: ReleaseMethod,
    judged: JudgedEvidence,
    failed: Check,
    unsafe: readonly string[],
  ): Promise<void> {
    const ledger = new CheckLedger(PRESENTED_CHECKS);
    ledger.absorb(judged.checks);
    const vmConfig = judged.presented.attestation.stack.config.slice(0, VM_CONFIG_LIMIT);
    await this.refused(method, {
      outcome: 'refused',
      ...{ judged, vmConfig, failed, unsafe, checks: ledger.close(), policy: null },
    });
  }

  #release(verdict: AllowedRelease): Release {
    const { deviceId, mrAggregated, mrSystem, osImageHash, tcbStatus, advisoryIds, ...who } = verdict.bootInfo;
    const { appId, composeHash, instanceId } = who;
    return {
      ...this.#decision(verdict),
      ...{ policy: verdict.policy, appId, composeHash, instanceId, osImageHash, mrAggregated, mrSystem, deviceId },
      ...{ tcbStatus, advisoryIds: [...advisoryIds], keyEpoch: this.parts.keyEpoch },
      boundKey: Buffer.from(verdict.judged.presented.boundKey).toString('hex'),
    };
  }

  #decision({ judged, vmConfig, checks, unsafe }: AllowedRelease | RefusedRelease) {
    return {
      ...{ kmsId: this.parts.kmsId, evidence: evidenceOf(judged, vmConfig), checks },
      ...{ collateralDigest: judged.collateral?.digest ?? null, unsafe: [...unsafe] },
    };
  }

  async #bytesAt(seq: number, subject: string): Promise<Uint8Array> {
    for await (const stored of this.parts.store.read({ fromSeq: seq, filters: [subject], follow: false })) {
      if (stored.seq === seq) return stored.bytes;
      break;
    }
    throw new PrpcError('the stored release could not be read back; nothing was released', true);
  }
}

function evidenceOf({ presented }: JudgedEvidence, vmConfig: string): EventData<'dstack.release-refused'>['evidence'] {
  const { form, bytes } = presented;
  const digest = createHash('sha256').update(bytes).digest('hex');
  return { form, bytes: Buffer.from(bytes).toString('base64'), digest, vmConfig };
}
