import type { BootInfo } from '@vouch/contracts';
import type { Check } from '@vouch/domain';
import type { PolicyRead } from '../../grant/grant-verdict.js';
import type { JudgedEvidence } from '../guest/judge-evidence.js';

interface Decided {
  readonly judged: JudgedEvidence;
  /** vm_config that counted. */
  readonly vmConfig: string;
  /** Every check in order: pass, fail or skipped. */
  readonly checks: Check[];
  readonly unsafe: readonly string[];
}

export interface AllowedRelease extends Decided {
  readonly outcome: 'allowed';
  readonly bootInfo: BootInfo;
  readonly policy: PolicyRead;
  /** As the policy's owner wrote it. */
  readonly gatewayAppId: string;
}

export interface RefusedRelease extends Decided {
  readonly outcome: 'refused';
  readonly policy: PolicyRead | null;
  readonly failed: Check;
}

export type ReleaseVerdict = AllowedRelease | RefusedRelease;
