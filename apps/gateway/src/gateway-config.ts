import { listenAddress, readConfig } from '@vouch/platform';
import { z } from 'zod';

const LABEL = '[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?';

const gatewayConfigSchema = z.object({
  /** Where TLS is accepted. */
  GATEWAY_LISTEN: listenAddress,
  /** Apps are reached one label below it. */
  GATEWAY_BASE_DOMAIN: z
    .string()
    .max(190)
    .transform((name) => name.toLowerCase())
    .pipe(z.string().regex(new RegExp(`^${LABEL}(\\.${LABEL})*$`), 'must be a DNS name')),
  /** PEM chain of the wildcard certificate, leaf first, and its private key. Both are watched for changes. */
  GATEWAY_CERT_FILE: z.string(),
  GATEWAY_KEY_FILE: z.string(),
  /** How long open connections may go on after SIGTERM. */
  GATEWAY_DRAIN_SECONDS: z.coerce.number().int().min(0).max(20).default(10),
});

export type GatewayConfig = z.infer<typeof gatewayConfigSchema>;

/** Throws ConfigError naming each wrong variable. */
export function readGatewayConfig(env: NodeJS.ProcessEnv = process.env): GatewayConfig {
  return readConfig(gatewayConfigSchema, env);
}
