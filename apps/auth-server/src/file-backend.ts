import { type BootInfo, type BootKind, judgeByPolicyFile, readPolicyFile } from '@vouch/contracts';
import type { AuthBackend, AuthDecision, AuthServerInfo } from './auth-backend.js';

/** Policy in a file of auth-simple's form, read anew for every request. */
export class FileBackend implements AuthBackend {
  constructor(private readonly path: string) {}

  async decide(kind: BootKind, info: BootInfo): Promise<AuthDecision> {
    const { policy, digest, modifiedAt } = await readPolicyFile(this.path);
    return { ...judgeByPolicyFile(policy, kind, info), epoch: `file ${digest} ${modifiedAt.toISOString()}` };
  }

  async describe(): Promise<AuthServerInfo> {
    const { gatewayAppId, kmsContractAddr, chainId, appImplementation } = (await readPolicyFile(this.path)).policy;
    const implementation = { appAuthImplementation: appImplementation, appImplementation };
    return { status: 'ok', kmsContractAddr, ethRpcUrl: '', gatewayAppId, chainId, ...implementation };
  }

  close(): void {}
}
