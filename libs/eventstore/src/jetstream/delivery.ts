import type { Msg } from '@nats-io/transport-node';
import type { RawStoredMessage } from '../stored-event.js';

/** A message as a consumer delivered it. */
export interface Delivery {
  readonly message: RawStoredMessage;
  /** 1 for the consumer's first delivery, then without holes; a hole means a delivery was lost on the way. */
  readonly consumerSeq: number;
  /** Matching messages still to come when this one was sent. */
  readonly pending: number;
}

/**
 * Reads a consumer's delivery. Its position travels in the acknowledgement subject, which has two forms:
 * `$JS.ACK.<stream>.<consumer>.<count>.<seq>.<consumer seq>.<time ns>.<pending>` and, newer,
 * `$JS.ACK.<domain>.<account>.<stream>…` with the same fields and maybe more at the end (eventing §1).
 * Undefined for anything else, such as a status message.
 */
export function readDelivery(msg: Msg): Delivery | undefined {
  const tokens = (msg.reply ?? '').split('.');
  if (tokens[0] !== '$JS' || tokens[1] !== 'ACK' || tokens.length < 9) return undefined;
  const [seq, consumerSeq, timeNs, pending] = tokens.slice(tokens.length === 9 ? 5 : 7);
  if (seq === undefined || consumerSeq === undefined || timeNs === undefined || pending === undefined) return undefined;
  return {
    message: {
      seq: Number(seq),
      subject: msg.subject,
      storedAt: new Date(Number(BigInt(timeNs) / 1_000_000n)),
      // A copy: the client's buffer may be larger than the message and live longer.
      bytes: Uint8Array.from(msg.data),
    },
    consumerSeq: Number(consumerSeq),
    pending: Number(pending),
  };
}
