import type { Command } from 'commander';
import { ApiClient } from '../api-client.js';
import { readContext } from '../context.js';
import { misuse } from '../failure.js';
import { age, type Column, note, outputForm, print, printOne, printRows, short, text } from '../output.js';
import type { AppRow, EventRow, HostRow, InstanceRow, OperationRow, ReleaseRow } from './fleet-types.js';
import { duration, waitForOperation } from './wait.js';

const columns = {
  instances: [
    { heading: 'instance', value: (row: InstanceRow) => row.instanceId },
    { heading: 'app', value: (row: InstanceRow) => short(row.appId) },
    { heading: 'state', value: (row: InstanceRow) => row.state },
    { heading: 'host', value: (row: InstanceRow) => text(row.hostId) },
    { heading: 'epoch', value: (row: InstanceRow) => text(row.epoch) },
    { heading: 'ports', value: (row: InstanceRow) => text(row.ports) },
    { heading: 'age', value: (row: InstanceRow) => age(row.createdAt) },
    { heading: 'reason', value: (row: InstanceRow) => text(row.reason) },
    { heading: 'address', value: (row: InstanceRow) => text(row.address), wide: true },
    { heading: 'compose hash', value: (row: InstanceRow) => row.composeHash, wide: true },
  ],
  apps: [
    { heading: 'app', value: (row: AppRow) => row.appId },
    { heading: 'name', value: (row: AppRow) => row.name },
    { heading: 'owner', value: (row: AppRow) => row.owner },
    { heading: 'age', value: (row: AppRow) => age(row.registeredAt) },
  ],
  releases: [
    { heading: 'release', value: (row: ReleaseRow) => row.releaseId },
    { heading: 'app', value: (row: ReleaseRow) => short(row.appId) },
    { heading: 'name', value: (row: ReleaseRow) => row.name },
    { heading: 'compose hash', value: (row: ReleaseRow) => row.composeHash },
    { heading: 'ports', value: (row: ReleaseRow) => text(row.ports) },
    { heading: 'age', value: (row: ReleaseRow) => age(row.createdAt) },
  ],
  hosts: [
    { heading: 'host', value: (row: HostRow) => row.hostId },
    { heading: 'driver', value: (row: HostRow) => row.driver },
    { heading: 'vcpu', value: (row: HostRow) => text(row.vcpu) },
    { heading: 'memory', value: (row: HostRow) => `${row.memoryMib} MiB` },
    { heading: 'cordoned', value: (row: HostRow) => (row.cordoned ? 'yes' : 'no') },
    { heading: 'unsafe', value: (row: HostRow) => text(row.unsafe) },
  ],
  operations: [
    { heading: 'operation', value: (row: OperationRow) => row.operationId },
    { heading: 'command', value: (row: OperationRow) => row.command },
    { heading: 'state', value: (row: OperationRow) => row.state },
    { heading: 'target', value: (row: OperationRow) => short(row.target) },
    { heading: 'by', value: (row: OperationRow) => row.principal },
    { heading: 'age', value: (row: OperationRow) => age(row.requestedAt) },
    { heading: 'reason', value: (row: OperationRow) => text(row.reason) },
  ],
} as const;

const plural: Readonly<Record<string, keyof typeof columns>> = {
  instance: 'instances',
  app: 'apps',
  release: 'releases',
  host: 'hosts',
  operation: 'operations',
};

/** `vouch ls`, `get`, `stop`, `rm`, `logs`, `events`, `host …`: everything that reads or asks of a running fleet. */
export function addFleetCommands(program: Command): void {
  program
    .command('ls')
    .description('list instances, apps, releases, hosts or operations')
    .argument('[what]', Object.keys(columns).join(' | '), 'instances')
    .option('-o, --output <form>', 'table, wide, json or name', 'table')
    .action(async (what: string, options: { output: string }) => {
      const kind = Object.hasOwn(columns, what) ? (what as keyof typeof columns) : plural[what];
      if (kind === undefined) throw misuse(`cannot list "${what}"`, `use one of ${Object.keys(columns).join(', ')}`);
      const { items } = await client().get<{ items: unknown[] }>(`/v1/${kind}`);
      printRows(items, columns[kind] as readonly Column<unknown>[], outputForm(options.output), emptyHint(kind));
    });

  program
    .command('get')
    .description('show one object: instance, app, release, host, operation, or the grants of an instance')
    .argument('<kind>', [...Object.keys(plural), 'grant'].join(' | '))
    .argument('<id>', 'its id')
    .option('-o, --output <form>', 'table or json', 'table')
    .action(async (kind: string, id: string, options: { output: string }) => {
      const form = outputForm(options.output);
      if (kind === 'grant') return showGrants(id, form === 'json');
      const path = plural[kind];
      if (path === undefined)
        throw misuse(`cannot show "${kind}"`, `use one of ${Object.keys(plural).join(', ')}, grant`);
      printOne(await client().get<Record<string, unknown>>(`/v1/${path}/${encodeURIComponent(id)}`), form);
    });

  for (const [name, verb] of [
    ['stop', 'stop'],
    ['rm', 'remove'],
  ] as const) {
    program
      .command(name)
      .description(`${verb} an instance${name === 'rm' ? ' with its data' : '; its keys and data stay'}`)
      .argument('<instance>', 'instance id')
      .option('--wait', 'wait until it is done')
      .option('--timeout <duration>', 'how long to wait', '60s')
      .action(async (instance: string, options: { wait?: boolean; timeout: string }) => {
        const api = client();
        const path = `/v1/instances/${encodeURIComponent(instance)}`;
        const accepted =
          name === 'stop' ? await api.mutate('POST', `${path}/stop`, {}) : await api.mutate('DELETE', path, undefined);
        if (options.wait === true)
          await waitForOperation(api, accepted.operation.id, accepted.seq, duration(options.timeout));
        print(accepted.operation.id);
      });
  }

  program
    .command('logs')
    .description("show the end of an instance's log")
    .argument('<instance>', 'instance id')
    .option('--tail <lines>', 'how many lines', '100')
    .action(async (instance: string, options: { tail: string }) => {
      const { lines } = await client().get<{ lines: { time: string; source: string; line: string }[] }>(
        `/v1/instances/${encodeURIComponent(instance)}/logs`,
        { tail: options.tail },
      );
      if (lines.length === 0) note('no log lines yet');
      for (const { time, source, line } of lines) print(`${time} ${source.padEnd(5)} ${line}`);
    });

  program
    .command('events')
    .description('show the log: every event, oldest first')
    .option('--after <seq>', 'only events after this sequence', '0')
    .option('--limit <count>', 'at most this many (default: all there are)')
    .option('--kind <kind>', 'for example grant, instance, vm')
    .option('--type <type>', 'for example grant.denied')
    .option('--operation <id>', 'only events of one operation')
    .option('-f, --follow', 'keep going as events arrive')
    .option('-o, --output <form>', 'table or json (one object a line)', 'table')
    .action(showEvents);

  const host = program.command('host').description('hosts of the fleet');
  for (const verb of ['cordon', 'uncordon'] as const) {
    host
      .command(verb)
      .argument('<host>', 'host id')
      .description(verb === 'cordon' ? 'place nothing new on a host' : 'allow placements again')
      .option('--reason <text>', 'why', '')
      .action(async (id: string, options: { reason: string }) => {
        const body = verb === 'cordon' ? { reason: options.reason } : {};
        print((await client().mutate('POST', `/v1/hosts/${encodeURIComponent(id)}/${verb}`, body)).operation.id);
      });
  }
}

interface EventOptions {
  readonly after: string;
  readonly limit?: string;
  readonly output: string;
  readonly kind?: string;
  readonly type?: string;
  readonly operation?: string;
  readonly follow?: boolean;
}

async function showEvents(options: EventOptions): Promise<void> {
  const api = client();
  const json = outputForm(options.output) === 'json';
  const wanted = (event: EventRow): boolean =>
    (options.kind === undefined || event.type.startsWith(`${options.kind}.`)) &&
    (options.type === undefined || event.type === options.type) &&
    (options.operation === undefined || event.corr === options.operation);
  const show = (event: EventRow): void => print(json ? JSON.stringify(event) : eventLine(event));
  let last = Number(options.after);
  for await (const event of everyEvent(api, options)) {
    show(event);
    last = event.seq;
  }
  if (options.follow !== true) return;
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort());
  try {
    for await (const event of api.follow(last, stop.signal)) {
      if (wanted(event as EventRow)) show(event as EventRow);
    }
  } catch (error) {
    if (!stop.signal.aborted) throw error;
  }
}

const PAGE = 500;

/** Pages through the log until its end or the wanted count. */
async function* everyEvent(api: ApiClient, options: EventOptions): AsyncGenerator<EventRow> {
  let left = options.limit === undefined ? Number.POSITIVE_INFINITY : wholeCount('--limit', options.limit);
  let after = wholeCount('--after', options.after);
  while (left > 0) {
    const limit = Math.min(PAGE, left);
    const { items } = await api.get<{ items: EventRow[] }>('/v1/events', {
      after,
      limit,
      kind: options.kind,
      type: options.type,
      corr: options.operation,
    });
    yield* items;
    left -= items.length;
    after = items.at(-1)?.seq ?? after;
    if (items.length < limit) return;
  }
}

function wholeCount(option: string, value: string): number {
  if (!/^\d{1,15}$/.test(value)) throw misuse(`${option} ${value}: a whole number is required`);
  return Number(value);
}

/** The few data fields that tell the story, in one line. */
function eventLine(event: EventRow): string {
  const data = event.envelope?.data ?? {};
  const told = ['failedCheck', 'reason', 'step', 'hostId', 'epoch', 'name', 'command', 'ports', 'composeHash', 'code']
    .filter((key) => data[key] !== undefined && data[key] !== '' && data[key] !== null)
    .map((key) => `${key}=${short(data[key])}`)
    .join(' ');
  return `${String(event.seq).padStart(6)}  ${event.time}  ${event.type.padEnd(26)} ${event.subject.split('.').slice(2).map(short).join('.')}  ${told}`;
}

interface GrantRow {
  readonly outcome: string;
  readonly decidedAt: string;
  readonly failedCheck: string | null;
  readonly reason: string | null;
  readonly grantSeq: number;
  readonly checks: readonly { readonly name: string; readonly outcome: string; readonly detail: string }[];
}

async function showGrants(instance: string, json: boolean): Promise<void> {
  const { items } = await client().get<{ items: GrantRow[] }>('/v1/grants', { instanceId: instance });
  if (json) return print(JSON.stringify(items, null, 2));
  if (items.length === 0) return note('no grant was decided for this instance yet');
  const marks: Readonly<Record<string, string>> = { pass: 'pass   ', fail: 'FAIL   ', skipped: 'skipped' };
  for (const grant of items) {
    print(
      `${grant.outcome} at ${grant.decidedAt} (event ${grant.grantSeq})${grant.reason === null ? '' : `: ${grant.reason}`}`,
    );
    for (const check of grant.checks)
      print(`  ${marks[check.outcome] ?? check.outcome} ${check.name.padEnd(36)} ${check.detail}`);
  }
}

function emptyHint(kind: string): string {
  return kind === 'instances'
    ? 'no instances yet; deploy one: vouch deploy examples/hello/app-compose.json --approve --wait'
    : `no ${kind} yet`;
}

function client(): ApiClient {
  return new ApiClient(readContext());
}
