import type { WireParts } from './wire-parts.js';

/** Domains no app may speak for: this KMS's, and those of gateways as the log has them now. */
export async function reservedDomains({ root, store }: Pick<WireParts, 'root' | 'store'>): Promise<string[]> {
  const domains = new Set([root.domain]);
  for await (const { envelope } of store.read({ fromSeq: 1, filters: ['evt.gateway.>'], follow: false })) {
    if (envelope.type === 'gateway.node-joined') domains.add(envelope.data.baseDomain);
  }
  return [...domains];
}
