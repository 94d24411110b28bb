import { encodeBase64 } from './base64.js';
import type { Hash } from './hash.js';
import type { Receipt } from './receipt.js';

/** Builds the receipt of the event with stream sequence `seq` (leaf seq - 1) from its parts. */
export function receiptOf(seq: number, event: Uint8Array, path: readonly Hash[], checkpoint: string): Receipt {
  return { version: 1, seq, index: seq - 1, event: encodeBase64(event), path: path.map(encodeBase64), checkpoint };
}
