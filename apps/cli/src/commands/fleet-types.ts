/** Rows as control-api answers them; only what the CLI shows is named. */
export interface AppRow {
  readonly appId: string;
  readonly name: string;
  readonly owner: string;
  readonly registeredAt: string;
}

export interface ReleaseRow {
  readonly releaseId: string;
  readonly appId: string;
  readonly composeHash: string;
  readonly name: string;
  readonly ports: readonly number[];
  readonly createdAt: string;
}

export interface InstanceRow {
  readonly instanceId: string;
  readonly appId: string;
  readonly releaseId: string;
  readonly composeHash: string;
  readonly hostId: string | null;
  readonly epoch: number | null;
  readonly address: string | null;
  readonly state: string;
  readonly desired: string;
  readonly reason: string | null;
  readonly ports: readonly number[];
  readonly createdAt: string;
}

export interface HostRow {
  readonly hostId: string;
  readonly driver: string;
  readonly vcpu: number;
  readonly memoryMib: number;
  readonly cordoned: boolean;
  readonly unsafe: readonly string[];
  readonly registeredAt: string;
}

interface OperationStep {
  readonly time: string;
  readonly type: string;
  readonly summary: string;
  readonly seq: number;
}

export interface OperationRow {
  readonly operationId: string;
  readonly command: string;
  readonly principal: string;
  readonly target: string;
  readonly state: string;
  readonly code: string | null;
  readonly reason: string | null;
  readonly result: Readonly<Record<string, unknown>> | null;
  readonly requestedAt: string;
  readonly finishedAt: string | null;
  readonly steps: readonly OperationStep[];
}

export interface EventRow {
  readonly seq: number;
  readonly subject: string;
  readonly type: string;
  readonly time: string;
  readonly actor: string;
  readonly corr: string;
  readonly envelope?: { readonly data: Readonly<Record<string, unknown>> };
}
