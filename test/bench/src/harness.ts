import { cpus, totalmem } from 'node:os';

/** What a benchmark answers: medians by name, each with its unit in the name (`appendsPerSecond`, `p99Ms`). */
export interface BenchResult {
  readonly metrics: Readonly<Record<string, number>>;
  readonly peers: Readonly<Record<string, number>>;
  /** Ours divided by the peer's or limit's figure of the same run. */
  readonly ratios: Readonly<Record<string, number>>;
}

export interface Bench {
  readonly name: string;
  readonly summary: string;
  readonly run: (say: (line: string) => void) => Promise<BenchResult>;
}

/** One thing to measure: answers a figure per round, such as events per second. */
export type Contender = () => Promise<number>;

/** Median over the rounds of ours divided by the peer's figure of the same round: what a noisy machine distorts least. */
export function medianRatio(ours: readonly number[], peers: readonly number[]): number {
  return median(ours.map((figure, round) => figure / (peers[round] ?? Number.NaN)));
}

/**
 * Measures contenders interleaved: every round runs each of them once, in turning order, so that a slow minute of the
 * machine hits all alike. One unmeasured round warms up. Answers the figures round by round.
 */
export async function interleaved<Name extends string>(
  rounds: number,
  contenders: Readonly<Record<Name, Contender>>,
  say: (line: string) => void,
): Promise<Record<Name, number[]>> {
  const names = Object.keys(contenders) as Name[];
  const figures = new Map<Name, number[]>(names.map((name) => [name, []]));
  for (let round = 0; round <= rounds; round += 1) {
    for (let turn = 0; turn < names.length; turn += 1) {
      const name = names[(turn + round) % names.length] as Name;
      const figure = await contenders[name]();
      if (round > 0) figures.get(name)?.push(figure);
    }
    if (round > 0)
      say(
        `round ${round}/${rounds}: ${names.map((name) => `${name} ${format(figures.get(name)?.at(-1) ?? 0)}`).join('  ')}`,
      );
  }
  return Object.fromEntries(figures) as Record<Name, number[]>;
}

export function median(values: readonly number[]): number {
  return percentile(values, 50);
}

/** Nearest-rank percentile, 0-100. */
export function percentile(values: readonly number[], rank: number): number {
  if (values.length === 0) throw new RangeError('no values');
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil((rank / 100) * sorted.length) - 1))] as number;
}

/** Runs one benchmark: table on the way, one JSON object as the last line. */
export async function runBench(bench: Bench): Promise<void> {
  console.log(`${bench.name}: ${bench.summary}\n`);
  const result = await bench.run((line) => console.log(`  ${line}`));
  const rows = [
    ...Object.entries(result.metrics).map(([name, value]) => [name, 'ours', value] as const),
    ...Object.entries(result.peers).map(([name, value]) => [name, 'peer or limit', value] as const),
    ...Object.entries(result.ratios).map(([name, value]) => [name, 'ratio', value] as const),
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  console.log('');
  for (const [name, kind, value] of rows)
    console.log(`  ${name.padEnd(width)}  ${kind.padEnd(13)}  ${format(value).padStart(12)}`);
  console.log('');
  console.log(JSON.stringify({ bench: bench.name, machine: machine(), ...result }));
}

function machine(): Readonly<Record<string, unknown>> {
  const processors = cpus();
  return {
    node: process.version,
    cpu: processors[0]?.model ?? 'unknown',
    cores: processors.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
  };
}

function format(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
