import { availableParallelism, totalmem } from 'node:os';
import { dirname } from 'node:path';
import { processImageHash, readProcessImage } from '@vouch/attestation';
import { ApiClient } from '../api-client.js';
import { waitForOperation } from '../commands/wait.js';
import type { Context } from '../context.js';
import { HOSTS } from './identities.js';
import { PolicyWallet } from './policy-chain.js';
import { appEntry } from './services.js';

/** Registers the two hosts of a development fleet and allows the process guest image on chain. Idempotent. */
export async function registerFleet(context: Context): Promise<{ osImageHash: string; summary: string }> {
  const osImageHash = processImageHash(await readProcessImage(dirname(appEntry('guest-agent'))));
  const wallet = new PolicyWallet(context);
  try {
    await wallet.approveOsImage(osImageHash);
  } finally {
    wallet.close();
  }
  const api = new ApiClient(context);
  const { vcpu, memoryMiB } = hostCapacity();
  const { items } = await api.get<{ items: { hostId: string }[] }>('/v1/hosts');
  for (const hostId of HOSTS) {
    if (items.some((host) => host.hostId === hostId)) continue;
    const accepted = await api.mutate(
      'POST',
      '/v1/hosts',
      { hostId, driver: 'process', capacity: { vcpu, memoryMiB } },
      `register-${hostId}`,
    );
    await waitForOperation(api, accepted.operation.id, accepted.seq, 30_000);
  }
  return {
    osImageHash,
    summary: `${HOSTS.join(', ')}: ${vcpu} vCPU, ${memoryMiB} MiB each; guest image ${osImageHash.slice(0, 16)}… allowed on chain`,
  };
}

/** What each of the two development hosts may give to guests: its processors eight times over, a quarter of the memory. */
export function hostCapacity(): { vcpu: number; memoryMiB: number } {
  return {
    vcpu: Math.max(2, availableParallelism()) * 8,
    memoryMiB: Math.max(2048, Math.floor(totalmem() / 1024 / 1024 / 4)),
  };
}
