import { HOST_ID } from '@vouch/domain';
import { z } from 'zod';
import { listenAddress } from './read-config.js';

/** The settings every service has. */
export const commonConfigSchema = z.object({
  /** One or more NATS servers, comma separated. */
  NATS_URL: z.string().transform((text) => text.split(',').map((url) => url.trim())),
  /** File with the NKey user seed (text that starts with "SU"). */
  VOUCH_NATS_SEED_FILE: z.string(),
  /** File with the Ed25519 private key (PKCS#8 PEM) that signs this service's events. */
  VOUCH_SIGNING_KEY_FILE: z.string().optional(),
  /** Trust file: which key belongs to which service. */
  VOUCH_TRUST_FILE: z.string(),
  /** Host id of a host-worker, node id of a gateway; empty for the others. */
  VOUCH_NODE: z
    .string()
    .regex(HOST_ID, 'must be 1-32 of a-z, 0-9 and "-", starting with a letter')
    .optional()
    .transform((node) => node ?? ''),
  VOUCH_MODE: z.enum(['development', 'production']).default('production'),
  VOUCH_HEALTH_LISTEN: listenAddress.optional(),
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
});

export type CommonConfig = z.infer<typeof commonConfigSchema>;
