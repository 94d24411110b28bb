import { type BootInfo, type BootKind, judgeByPolicyFile, readPolicyFile } from '@vouch/contracts';
import type { PolicyAnchor, PolicyDecision, PolicySource } from './policy-source.js';

/** Policy in a file of auth-simple's form, read from the disk for every decision. */
export class FilePolicy implements PolicySource {
  readonly kind = 'file';

  constructor(private readonly path: string) {}

  get description(): string {
    return `policy file ${this.path}`;
  }

  async read(kind: BootKind, info: BootInfo): Promise<PolicyDecision> {
    const { policy, digest, modifiedAt } = await readPolicyFile(this.path);
    return { ...judgeByPolicyFile(policy, kind, info), origin: { source: 'file', digest }, asOf: modifiedAt };
  }

  async reachable(): Promise<PolicyAnchor> {
    await readPolicyFile(this.path);
    return { contract: null, chainId: null };
  }

  close(): void {}
}
