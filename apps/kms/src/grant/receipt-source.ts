import type { NatsConnection } from '@nats-io/transport-node';
import { ed25519PublicKey, type TrustFile } from '@vouch/domain';
import { busRequest } from '@vouch/platform';
import { type Receipt, verifyReceipt } from '@vouch/transparency';

/** No receipt that proves the event could be had. A retry can help; nothing is released meanwhile. */
export class ReceiptUnavailableError extends Error {
  readonly code = 'receipt-unavailable';
  readonly retryable = true;
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ReceiptUnavailableError';
  }
}

/** Where proofs of inclusion come from. */
export interface ReceiptSource {
  /** A verified receipt of the event at `seq`, whose stored bytes are given. Throws ReceiptUnavailableError. */
  receiptOf(seq: number, bytes: Uint8Array): Promise<Receipt>;
}

/** The auditor waits for a checkpoint that covers the event before it answers, so this is long, in milliseconds. */
const TIMEOUT_MS = 15_000;

/** Asks the auditor and believes only what the pinned log key signed. */
export class AuditorReceipts implements ReceiptSource {
  readonly #verifier: { readonly origin: string; readonly publicKey: ReturnType<typeof ed25519PublicKey> };

  constructor(
    private readonly connection: NatsConnection,
    trust: TrustFile,
  ) {
    this.#verifier = { origin: trust.log.origin, publicKey: ed25519PublicKey(trust.log.publicKey) };
  }

  async receiptOf(seq: number, bytes: Uint8Array): Promise<Receipt> {
    try {
      const receipt = await busRequest(this.connection, 'audit.receipt', { seq }, { timeoutMs: TIMEOUT_MS });
      return provenReceipt(receipt, seq, bytes, this.#verifier);
    } catch (cause) {
      if (cause instanceof ReceiptUnavailableError) throw cause;
      throw new ReceiptUnavailableError(`no receipt for event ${seq}: ${(cause as Error).message}`, { cause });
    }
  }
}

/** Verifies a receipt and that it is of exactly this event. Throws TransparencyError or ReceiptUnavailableError. */
export function provenReceipt(
  receipt: unknown,
  seq: number,
  bytes: Uint8Array,
  verifier: { readonly origin: string; readonly publicKey: ReturnType<typeof ed25519PublicKey> },
): Receipt {
  const verified = verifyReceipt(receipt, verifier);
  if (verified.seq !== seq || Buffer.compare(verified.event, bytes) !== 0) {
    throw new ReceiptUnavailableError(`the receipt for event ${seq} proves another event`);
  }
  return receipt as Receipt;
}
