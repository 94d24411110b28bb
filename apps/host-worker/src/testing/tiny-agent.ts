import { spawn } from 'node:child_process';
import { appendFileSync, readFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

/**
 * Stands in for the guest agent in tests of the worker: a real process with the agent's command line and the same habits
 * (app in a group of its own, orderly end on SIGTERM). What it does is written in the app-compose it is given.
 */
interface Behaviour {
  /** Exit with this code at once. */
  readonly exit?: number;
  /** Ignore SIGTERM, the app too. */
  readonly stubborn?: boolean;
  /** Ends without ending its app. */
  readonly leavesApp?: boolean;
  /** Calls made to the host API at the start. */
  readonly calls?: readonly { readonly path: string; readonly body?: unknown }[];
}

const names = ['shared', 'host-socket', 'tsm-socket', 'listen', 'state', 'address'] as const;
const options = Object.fromEntries(names.map((name) => [name, { type: 'string' as const }]));
const { values } = parseArgs({ options });
const shared = String(values.shared);
const state = String(values.state);
const socketPath = String(values['host-socket']);
const behaviour =
  (JSON.parse(readFileSync(join(shared, 'app-compose.json'), 'utf8')) as { test?: Behaviour }).test ?? {};
const note = (fact: object): void =>
  appendFileSync(join(state, 'notes.jsonl'), `${JSON.stringify({ pid: process.pid, ...fact })}\n`);

function call(path: string, body: unknown): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const method = path.startsWith('/grant') ? 'GET' : 'POST';
    const asking = request({ socketPath, path, method, agent: false }, (answer) => {
      let text = '';
      answer.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text }));
    });
    asking.on('error', reject);
    asking.end(method === 'POST' ? JSON.stringify(body ?? {}) : undefined);
  });
}

note({ started: process.env.VOUCH_LAUNCH_ID });
process.stdout.write(`agent of ${String(values.address)} is up\n`);
process.on('SIGTERM', () => {
  if (behaviour.stubborn) return;
  if (!behaviour.leavesApp && app.pid !== undefined) process.kill(-app.pid, 'SIGKILL');
  note({ ended: 'SIGTERM' });
  process.exit(0);
});
const script = behaviour.stubborn ? 'trap "" TERM; sleep 600 & wait' : 'exec sleep 600';
const app = spawn('/bin/sh', ['-c', script], {
  detached: true,
  stdio: 'ignore',
  env: { PATH: process.env.PATH, DSTACK_SIMULATOR_ENDPOINT: String(values.listen) },
});
note({ app: app.pid });
if (behaviour.exit !== undefined) process.exit(behaviour.exit);
for (const { path, body } of behaviour.calls ?? []) note({ path, ...(await call(path, body)) });
setInterval(() => undefined, 60_000);
