import type { BootDecision, BootInfo, BootKind } from '@vouch/contracts';

/** Where a decision came from, exactly enough to ask again. */
type PolicyOrigin =
  | {
      readonly source: 'contract';
      readonly chainId: number;
      /** DstackKms, 40 hex digits. */
      readonly contract: string;
      readonly block: number;
      /** 64 hex digits. */
      readonly blockHash: string;
    }
  | { readonly source: 'file' /** SHA-256 of the file, hex. */; readonly digest: string }
  | { readonly source: 'webhook' /** Host and port of the server. */; readonly host: string };

/** A policy's word, where it came from and as of when it holds: its epoch. */
export interface PolicyDecision extends BootDecision {
  readonly origin: PolicyOrigin;
  /** Time of the block, last change of the file, or arrival of the answer: what the age is counted from. */
  readonly asOf: Date;
}

/** What is known of a source before anyone boots: contract and chain, when it has them. */
export interface PolicyAnchor {
  readonly contract: string | null;
  readonly chainId: number | null;
}

/**
 * Where boot policy is read: one place for the life of the service. It never answers from memory: a place that cannot be
 * asked now gives no decision.
 */
export interface PolicySource {
  readonly kind: PolicyOrigin['source'];
  /** For people: contract, path or URL. */
  readonly description: string;
  /** Throws PolicyUnavailableError, with the reason, when there is no answer. A refusal is a value. */
  read(kind: BootKind, info: BootInfo): Promise<PolicyDecision>;
  /** Answers once the source does. Throws PolicyUnavailableError. */
  reachable(): Promise<PolicyAnchor>;
  close(): void;
}
