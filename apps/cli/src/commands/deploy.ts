import { readFileSync } from 'node:fs';
import { composeHashOf } from '@vouch/domain';
import type { Command } from 'commander';
import { ApiClient } from '../api-client.js';
import { type Context, readContext } from '../context.js';
import { misuse } from '../failure.js';
import { note, print } from '../output.js';
import { PolicyWallet } from '../stack/policy-chain.js';
import type { AppRow, InstanceRow, OperationRow } from './fleet-types.js';
import { duration, waitForOperation } from './wait.js';

/** Larger files are refused before they are sent: the API takes 128 KiB. */
const COMPOSE_MAX_BYTES = 128 * 1024;

export interface DeployOptions {
  readonly app?: string;
  readonly approve?: boolean;
  readonly vcpu: string;
  readonly memory: string;
  readonly disk: string;
  readonly port?: readonly string[];
  readonly host?: string;
  readonly wait?: boolean;
  readonly timeout: string;
}

export interface Deployed {
  readonly appId: string;
  readonly releaseId: string;
  readonly instanceId: string;
  readonly composeHash: string;
  readonly operation: OperationRow | null;
}

/** `vouch deploy <app-compose.json>`: app, release and instance in one go; with --wait, every step with its time. */
export function addDeployCommand(program: Command): void {
  program
    .command('deploy')
    .description('deploy an app-compose.json: registers app and release when new, then starts one instance')
    .argument('<file>', 'app-compose.json; its exact bytes are what is hashed and attested')
    .option('--app <id or name>', 'app to deploy into (default: the app with the name in the file, made when missing)')
    .option('--approve', 'with the wallet of this context: allow the compose hash on chain first')
    .option('--vcpu <count>', 'virtual CPUs', '1')
    .option('--memory <MiB>', 'memory in MiB', '512')
    .option('--disk <GiB>', 'disk in GiB', '1')
    .option('--port <port...>', 'TCP ports the app serves (default: what the file declares)')
    .option('--host <id>', 'place on this host instead of letting the scheduler choose')
    .option('--wait', 'wait until the app is healthy, or say why it is not')
    .option('--timeout <duration>', 'how long --wait waits', '120s')
    .action(async (file: string, options: DeployOptions) => {
      const deployed = await deploy(readContext(), file, options);
      print(deployed.instanceId);
    });
}

/** What the command does; `vouch up --example` uses it too. */
export async function deploy(context: Context, file: string, options: DeployOptions): Promise<Deployed> {
  const { bytes, name } = readCompose(file);
  const composeHash = composeHashOf(bytes);
  note(`compose hash  ${composeHash}`);
  const api = new ApiClient(context);
  const appId = await findOrMakeApp(api, context, options.app ?? name);
  note(`app           ${appId}`);
  if (options.approve === true) await approve(context, appId, composeHash);
  const release = await api.mutate('POST', `/v1/apps/${appId}/releases`, {
    appCompose: Buffer.from(bytes).toString('utf8'),
    resources: {
      vcpu: whole('--vcpu', options.vcpu),
      memoryMiB: whole('--memory', options.memory),
      diskGiB: whole('--disk', options.disk),
    },
    ...(options.port === undefined ? {} : { ports: options.port.map((port) => whole('--port', port)) }),
  });
  await waitForOperation(api, release.operation.id, release.seq, duration(options.timeout));
  const releaseId = String(release.releaseId);
  note(`release       ${releaseId}`);
  const accepted = await api.mutate(
    'POST',
    `/v1/releases/${releaseId}/instances`,
    options.host === undefined ? {} : { hostId: options.host },
  );
  const instanceId = String(accepted.instanceId);
  note(`instance      ${instanceId}`);
  note(`operation     ${accepted.operation.id}`);
  const operation =
    options.wait === true
      ? await waitForOperation(api, accepted.operation.id, accepted.seq, duration(options.timeout))
      : null;
  if (operation?.finishedAt) {
    note(
      `healthy       ${((Date.parse(operation.finishedAt) - Date.parse(operation.requestedAt)) / 1000).toFixed(2)} s after the request`,
    );
    const urls = await urlsOf(api, context, instanceId);
    for (const url of urls) note(`reach it      ${url}`);
    if (urls.length > 0) note('              (write -<port>s for a port whose app ends TLS itself)');
  }
  return { appId, releaseId, instanceId, composeHash, operation };
}

/** Addresses of an instance's app behind the gateway, one per port. */
export async function urlsOf(api: ApiClient, context: Context, instanceId: string): Promise<readonly string[]> {
  const { appId, ports } = await api.get<InstanceRow>(`/v1/instances/${instanceId}`);
  const { baseDomain, port } = context.gateway;
  return ports.map((appPort) => `https://${appId}-${appPort}.${baseDomain}:${port}/`);
}

function readCompose(file: string): { bytes: Uint8Array; name: string } {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(file);
  } catch (cause) {
    throw misuse(`${file} cannot be read: ${(cause as Error).message}`);
  }
  if (bytes.length > COMPOSE_MAX_BYTES)
    throw misuse(`${file} is ${bytes.length} bytes; an app-compose.json may have ${COMPOSE_MAX_BYTES}`);
  let name: unknown;
  try {
    name = (JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as { name?: unknown }).name;
  } catch (cause) {
    throw misuse(
      `${file} is not UTF-8 JSON: ${(cause as Error).message}`,
      'an app-compose.json is expected (see examples/hello)',
    );
  }
  if (typeof name !== 'string' || name === '') throw misuse(`${file}: name: a non-empty string is required`);
  return { bytes, name };
}

/** An app by id or name; a new name gets a policy contract of its own, made with the wallet of the context. */
async function findOrMakeApp(api: ApiClient, context: Context, idOrName: string): Promise<string> {
  const { items } = await api.get<{ items: AppRow[] }>('/v1/apps');
  const known = items.find((app) => app.appId === idOrName || app.name === idOrName);
  if (known !== undefined) return known.appId;
  if (/^(0x)?[0-9a-f]{40}$/i.test(idOrName)) throw misuse(`no app ${idOrName} is registered`, 'see: vouch ls apps');
  const wallet = new PolicyWallet(context);
  try {
    note(`app "${idOrName}" is new: deploying its policy contract`);
    const appId = await wallet.createApp();
    const accepted = await api.mutate('POST', '/v1/apps', { appId, name: idOrName });
    await waitForOperation(api, accepted.operation.id, accepted.seq, 30_000);
    return appId;
  } finally {
    wallet.close();
  }
}

async function approve(context: Context, appId: string, composeHash: string): Promise<void> {
  const wallet = new PolicyWallet(context);
  try {
    const changed = await wallet.approveCompose(appId, composeHash);
    note(`policy        compose hash ${changed ? 'allowed on chain' : 'was already allowed on chain'}`);
  } finally {
    wallet.close();
  }
}

function whole(option: string, value: string): number {
  if (!/^[1-9][0-9]{0,6}$/.test(value)) throw misuse(`${option} ${value}: a whole number above 0 is required`);
  return Number(value);
}
