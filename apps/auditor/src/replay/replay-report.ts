import { type Difference, describeDifference } from './difference.js';
import type { GrantSummary } from './grant-rechecker.js';

/** One thing a replay checked. What did not run is `skipped` and says why. */
export interface ReplayCheck {
  readonly name: string;
  readonly outcome: 'pass' | 'fail' | 'skipped';
  readonly detail: string;
}

export interface ReplayReport {
  readonly equal: boolean;
  /** First event replayed. */
  readonly from: number;
  /** Number of events replayed. */
  readonly events: number;
  /** Events in the log that the live tables had not taken in yet: not compared. */
  readonly notProjectedYet: number;
  /** Merkle root over the replayed events, hex. */
  readonly root: string;
  readonly checkpoints: number;
  /** Rows compared, by table. */
  readonly rows: Readonly<Record<string, number>>;
  /** Decisions of the KMS, verified again. */
  readonly grants: GrantSummary;
  readonly checks: readonly ReplayCheck[];
  readonly difference: Difference | null;
  readonly durationMs: number;
}

/** The report as text: the verdict first on its line, then what was checked. */
export function reportText(report: ReplayReport): string {
  const lines = report.checks.map(({ name, outcome, detail }) => `${outcome.padEnd(7)} ${name}: ${detail}`);
  const seconds = (report.durationMs / 1000).toFixed(1);
  if (report.difference !== null) {
    lines.push(`different: ${describeDifference(report.difference)}`);
    return `${lines.join('\n')}\n`;
  }
  const rows = Object.values(report.rows).reduce((sum, count) => sum + count, 0);
  lines.push(
    `equal: ${report.events} events, ${rows} rows, ${report.checkpoints} checkpoints, root ${report.root}, ${seconds} s`,
  );
  if (report.notProjectedYet > 0) lines.push(`note: ${report.notProjectedYet} later events were not projected yet`);
  return `${lines.join('\n')}\n`;
}
