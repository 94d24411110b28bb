import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Bench, type BenchResult, percentile } from './harness.js';

const DEPLOYS = 12;
const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');
const cli = join(root, 'apps/cli/dist/main.js');
const compose = join(root, 'examples/hello/app-compose.json');

interface Step {
  readonly time: string;
  readonly type: string;
}

/** The stages of a deploy, cut at events of the log: who was at work between them. */
const STAGES = [
  { name: 'placeMs', from: 'operation.requested', to: 'instance.placed', owner: 'control plane' },
  { name: 'launchMs', from: 'instance.placed', to: 'vm.launched', owner: 'control plane' },
  { name: 'guestAttestMs', from: 'vm.launched', to: 'attestation.submitted', owner: 'guest' },
  { name: 'decideMs', from: 'attestation.submitted', to: 'grant.issued', owner: 'control plane' },
  { name: 'guestStartMs', from: 'grant.issued', to: 'vm.app-healthy', owner: 'guest' },
] as const;

/** Deploy-to-healthy latency on a whole stack of its own, and how much of it is the control plane's. */
export const deployBench: Bench = {
  name: 'deploy',
  summary: 'deploy to healthy on a fresh stack (process driver), p50/p99, and the share that is not the guest itself',
  run: async (say): Promise<BenchResult> => {
    const folder = await mkdtemp(join(tmpdir(), 'vouch-bench-'));
    const env = { ...process.env, VOUCH_DATA: folder };
    try {
      await vouch(env, ['up', '--detach']);
      await vouch(env, ['deploy', compose, '--approve', '--wait', '--memory', '128']);
      const totals: number[] = [];
      const stages = new Map<string, number[]>(STAGES.map(({ name }) => [name, []]));
      for (let count = 1; count <= DEPLOYS; count += 1) {
        const instance = (await vouch(env, ['deploy', compose, '--wait', '--memory', '128'])).trim();
        const steps = await stepsOf(env, instance);
        totals.push(between(steps, 'operation.requested', 'vm.app-healthy'));
        for (const { name, from, to } of STAGES) stages.get(name)?.push(between(steps, from, to));
        await vouch(env, ['rm', instance, '--wait']);
        say(`deploy ${count}/${DEPLOYS}: ${totals.at(-1)?.toFixed(0)} ms`);
      }
      const p50 = Object.fromEntries(STAGES.map(({ name }) => [name, percentile(stages.get(name) ?? [], 50)]));
      const controlPlane = STAGES.filter(({ owner }) => owner === 'control plane').reduce(
        (sum, { name }) => sum + (p50[name] ?? 0),
        0,
      );
      const guest = STAGES.filter(({ owner }) => owner === 'guest').reduce(
        (sum, { name }) => sum + (p50[name] ?? 0),
        0,
      );
      return {
        metrics: {
          deployP50Ms: percentile(totals, 50),
          deployP99Ms: percentile(totals, 99),
          controlPlaneP50Ms: controlPlane,
          ...p50,
        },
        peers: { guestItselfP50Ms: guest },
        ratios: { controlPlaneShare: controlPlane / (controlPlane + guest) },
      };
    } finally {
      await vouch(env, ['down', '--purge']);
      await rm(folder, { recursive: true, force: true });
    }
  },
};

async function stepsOf(env: NodeJS.ProcessEnv, instance: string): Promise<readonly Step[]> {
  const { apiUrl, apiToken } = JSON.parse(await readFile(join(env.VOUCH_DATA ?? '', 'context.json'), 'utf8')) as {
    apiUrl: string;
    apiToken: string;
  };
  const get = async <T>(path: string): Promise<T> => {
    const response = await fetch(`${apiUrl}${path}`, { headers: { authorization: `Bearer ${apiToken}` } });
    return (await response.json()) as T;
  };
  const { items } = await get<{ items: { command: string; operationId: string }[] }>(
    `/v1/operations?target=${instance}`,
  );
  const deploy = items.find(({ command }) => command === 'DeployInstance');
  if (deploy === undefined) throw new Error(`no deploy operation for instance ${instance}`);
  return (await get<{ steps: Step[] }>(`/v1/operations/${deploy.operationId}`)).steps;
}

function between(steps: readonly Step[], from: string, to: string): number {
  const at = (type: string): number => {
    const step = steps.find((candidate) => candidate.type === type);
    if (step === undefined) throw new Error(`the deploy has no step ${type}`);
    return Date.parse(step.time);
  };
  return at(to) - at(from);
}

/** Runs the CLI; answers its stdout, throws with its stderr. */
function vouch(env: NodeJS.ProcessEnv, args: readonly string[]): Promise<string> {
  return new Promise((done, failed) => {
    const child = spawn(process.execPath, [cli, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    let out = '';
    let err = '';
    child.stdout.on('data', (chunk) => {
      out += chunk;
    });
    child.stderr.on('data', (chunk) => {
      err += chunk;
    });
    child.once('error', failed);
    child.once('close', (code) =>
      code === 0 ? done(out) : failed(new Error(`vouch ${args[0]} exited ${code}:\n${err}`)),
    );
  });
}
