import type { BootDecision, BootInfo, BootKind } from '@vouch/contracts';

/** `GET /` as dstack's servers answer it (dstack-kms §15, §17). Addresses have 0x, as there. */
export interface AuthServerInfo {
  readonly status: 'ok';
  readonly kmsContractAddr: string;
  /** Scheme and host only: a path may hold an access key. */
  readonly ethRpcUrl: string;
  readonly gatewayAppId: string;
  readonly chainId: number;
  /** The older name of the next member; dstack's servers send both. */
  readonly appAuthImplementation: string;
  readonly appImplementation: string;
}

/** A decision and, in one line, the epoch it was read at, so that a person can ask the same again. */
export interface AuthDecision extends BootDecision {
  readonly epoch: string;
}

/** Where an authorisation server reads policy. Both methods throw PolicyUnavailableError when it cannot be read. */
export interface AuthBackend {
  decide(kind: BootKind, info: BootInfo): Promise<AuthDecision>;
  describe(): Promise<AuthServerInfo>;
  close(): void;
}
