import { existsSync, readFileSync } from 'node:fs';
import { type ProcessIdentity } from '@vouch/platform/local-servers';
import type { Layout } from './layout.js';
import type { PortName } from './ports.js';
import { writePrivate } from './private-file.js';
import type { ServiceState } from './supervisor.js';

/** What a running (or stopped) stack leaves for the next command: who runs, and where things listen. No secrets. */
export interface StackState {
  readonly supervisor: ProcessIdentity;
  readonly startedAt: string;
  /** True once everything is up and the fleet can be used. */
  readonly ready: boolean;
  readonly ports: Partial<Readonly<Record<PortName, number>>>;
  readonly healthPorts: Readonly<Record<string, number>>;
  readonly services: readonly ServiceState[];
  /** The local servers (nats-server, postgres, anvil, redis) this stack started. */
  readonly servers: readonly { readonly name: string; readonly pid: number; readonly version: string }[];
  readonly osImageHash: string;
  readonly kmsContract: string;
}

export function readState(layout: Pick<Layout, 'stateFile'>): StackState | null {
  if (!existsSync(layout.stateFile)) return null;
  try {
    return JSON.parse(readFileSync(layout.stateFile, 'utf8')) as StackState;
  } catch {
    return null;
  }
}

export function writeState(layout: Pick<Layout, 'stateFile'>, state: StackState): void {
  writePrivate(layout.stateFile, `${JSON.stringify(state, null, 2)}\n`);
}
