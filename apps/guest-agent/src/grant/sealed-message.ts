import { z } from 'zod';
import { AgentFailure } from '../agent-failure.js';

const base64 = z.base64().max(64 * 1024);

/** The KMS's answer as it travels through bus and host: nothing in it is believed before verifyDecision. */
const schema = z.looseObject({
  requestId: z.uuid(),
  outcome: z.enum(['issued', 'denied']),
  receipt: z.unknown(),
  sealed: z.strictObject({ enc: base64, ciphertext: base64 }).nullable(),
  kms: z.looseObject({
    /** DER SubjectPublicKeyInfo of the root CA key, hex. */
    rootCaSpki: z.string().regex(/^[0-9a-f]{182}$/),
    /** Raw Ed25519 event key, hex. */
    eventKey: z.string().regex(/^[0-9a-f]{64}$/),
    endorsement: z.base64().max(200),
  }),
});

export type SealedMessage = z.infer<typeof schema>;

/** Checks the form. Throws AgentFailure `grant-unverifiable`. */
export function readSealedMessage(value: unknown): SealedMessage {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new AgentFailure('grant-unverifiable', `the decision is malformed: ${z.prettifyError(parsed.error)}`);
}
