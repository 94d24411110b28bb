import { isAlive } from '@vouch/platform/local-servers';
import type { Command } from 'commander';
import { ApiClient } from '../api-client.js';
import { dataFolder, readContext } from '../context.js';
import { note, outputForm, print, printRows, text } from '../output.js';
import { openLayout } from '../stack/layout.js';
import { readState } from '../stack/state.js';

interface Line {
  readonly name: string;
  readonly state: string;
  readonly detail: string;
}

/** `vouch status`: what runs on this machine, and what the fleet says of itself. */
export function addStatusCommand(program: Command): void {
  program
    .command('status')
    .description('show servers, services and the fleet')
    .option('-o, --output <form>', 'table or json', 'table')
    .action(async (options: { output: string }) => {
      const form = outputForm(options.output);
      const local = await localLines();
      const api = new ApiClient(readContext());
      const fleet = await api
        .get<Record<string, unknown>>('/v1/status')
        .catch((error: Error) => ({ unreachable: error.message }));
      if (form === 'json') return print(JSON.stringify({ local, fleet }, null, 2));
      printRows(
        local,
        [
          { heading: 'part', value: (row) => row.name },
          { heading: 'state', value: (row) => row.state },
          { heading: 'detail', value: (row) => row.detail },
        ],
        form,
        'no local stack in this data folder',
      );
      print('');
      for (const line of fleetLines(fleet)) print(line);
      if (local.some((line) => line.state !== 'ready' && line.state !== 'running')) process.exitCode = 3;
    });
}

async function localLines(): Promise<readonly Line[]> {
  const state = readState(openLayout(dataFolder()));
  if (state === null) return [];
  if (!isAlive(state.supervisor)) {
    note('the stack is down; start it with `vouch up`');
    return [{ name: 'stack', state: 'down', detail: `was started ${state.startedAt}` }];
  }
  const services = await Promise.all(
    state.services.map(async ({ name, process: identity, restarts }): Promise<Line> => {
      const port = name === 'quote-simulator' ? undefined : state.healthPorts[name];
      const readiness = identity === null ? 'down' : port === undefined ? 'running' : await ready(port);
      return {
        name,
        state: readiness,
        detail: `pid ${identity?.pid ?? '-'}${restarts > 0 ? `, restarted ${restarts} times` : ''}`,
      };
    }),
  );
  return [
    ...state.servers.map(({ name, pid, version }) => ({ name, state: 'running', detail: `pid ${pid}, ${version}` })),
    ...services,
  ];
}

async function ready(port: number): Promise<string> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(2_000) });
    return response.ok ? 'ready' : 'not ready';
  } catch {
    return 'not answering';
  }
}

/** One line per fact; lists of objects (hosts) get one line each. */
function fleetLines(fleet: Readonly<Record<string, unknown>>): readonly string[] {
  return Object.entries(fleet).flatMap(([key, value]) =>
    (Array.isArray(value) ? value : [value]).map((entry) => `${key.padEnd(20)} ${phrase(entry)}`),
  );
}

function phrase(value: unknown): string {
  if (typeof value !== 'object' || value === null) return text(value);
  return Object.entries(value)
    .filter(([, field]) => field !== null)
    .map(([name, field]) => `${name}=${text(field)}`)
    .join('  ');
}
