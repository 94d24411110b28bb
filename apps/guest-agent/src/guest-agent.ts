import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { AgentLog } from './agent-log.js';
import { prepareApp } from './app/app-command.js';
import { appEnvironment, decryptedEnvironment } from './app/app-environment.js';
import { superviseApp } from './app/app-supervisor.js';
import { writeAppKeysFile } from './app-keys-file.js';
import type { AgentArguments } from './arguments.js';
import { makeGuestKeys } from './grant/guest-keys.js';
import { obtainGrant } from './grant/obtain-grant.js';
import type { OpenedGrant } from './grant/open-grant.js';
import { persist } from './host/back-off.js';
import type { HostClient } from './host/host-client.js';
import type { ProgressReporter } from './host/progress-reporter.js';
import { readSharedFolder, type SharedFolder } from './shared-folder/shared-folder.js';
import type { GuestContext } from './socket-api/guest-context.js';
import { keyProviderInfo } from './socket-api/info.js';
import { SocketApi } from './socket-api/socket-api.js';
import { RuntimeEventLog } from './tsm/runtime-event-log.js';
import { TsmClient } from './tsm/tsm-client.js';

export interface AgentSurroundings {
  readonly args: AgentArguments;
  readonly host: HostClient;
  readonly progress: ProgressReporter;
  readonly log: AgentLog;
  /** Ends everything, app first. */
  readonly signal: AbortSignal;
}

const NOTHING = new Uint8Array();

/**
 * The life of a guest: measure, attest, get keys, serve the socket, run the app until `signal`. Each step is reported to
 * the host. Throws AgentFailure with the reason when a step cannot be done; the app is gone when this returns or throws.
 */
export async function runGuest(surroundings: AgentSurroundings): Promise<void> {
  const { args, host, progress, log, signal } = surroundings;
  await mkdir(args.state, { recursive: true, mode: 0o700 });
  const shared = await readSharedFolder(args.shared);
  progress.report('configuration-read', `${shared.appCompose.name}, compose hash ${shared.composeHash}`);
  const command = await prepareApp(shared.appCompose, join(args.state, 'app'), projectName(shared));

  const tsm = new TsmClient(args.tsmSocket, signal, (error) =>
    log.warn('the platform does not answer; trying again', { error: error.message }),
  );
  const events = await tsm.persistently(() => RuntimeEventLog.open(args.state, tsm));
  await measureBoot(events, shared);
  progress.report('measured', `RTMR3 ${Buffer.from(events.rtmr3()).toString('hex').slice(0, 16)}… up to boot-mr-done`);

  const keys = await makeGuestKeys();
  const grant = await obtainGrant({ identity: { shared, keys }, host, tsm, events, progress, log, signal });
  // It opened the one payload that will ever be sealed to it.
  keys.hpke.privateKey.fill(0);
  progress.report('keys-received', `grant ${grant.decision.grantSeq}, root ${grant.decision.rootCaSpki.slice(-16)}`);

  await measureGrant(events, grant);
  await writeAppKeysFile(args.state, grant.payload);
  const { envCryptKey, earlier = [] } = grant.payload;
  const envKeys = [envCryptKey, ...earlier.map((keys) => keys.envCryptKey).reverse()];
  const decrypted = decryptedEnvironment(
    shared,
    envKeys.map((key) => Buffer.from(key, 'hex')),
    log,
  );
  await events.measure('system-ready', NOTHING);

  const bootLog = await tsm.persistently(() => tsm.bootLog());
  const context: GuestContext = { shared, grant, identityKey: keys.identity, host, tsm, events, bootLog, log };
  const api = new SocketApi(context, log);
  await api.listen(args.listen);
  progress.report('socket-ready', 'dstack.sock is served');
  try {
    await runApp(surroundings, shared, command, decrypted);
  } finally {
    await api.close();
  }
}

async function runApp(
  { args, host, progress, log, signal }: AgentSurroundings,
  shared: SharedFolder,
  command: Awaited<ReturnType<typeof prepareApp>>,
  decrypted: Readonly<Record<string, string>>,
): Promise<void> {
  const { ports } = shared.sysConfig.vouch;
  const environment = appEnvironment({
    dstackSocket: args.listen,
    address: args.address,
    home: command.folder,
    decrypted,
  });
  progress.report('app-starting', ports.length === 0 ? 'no ports declared' : `ports ${ports.join(', ')}`);
  const onFailure = (error: Error): void => log.warn('health was not reported; trying again', { error: error.message });
  await superviseApp(
    {
      command,
      environment,
      address: args.address,
      ports,
      logPath: args.appLog,
      progress,
      log,
      onHealthy: async () => {
        await persist(() => host.healthy(ports), signal, onFailure);
        log.info('app healthy', { ports });
      },
    },
    signal,
  );
  // A finished app leaves its guest up: its keys, certificates and quotes stay available until the guest is stopped.
  if (!signal.aborted) await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
}

/** Events up to boot-mr-done: what RTMR3 covers when the keys are asked for (dstack-kms §11, version 1 digests). */
async function measureBoot(events: RuntimeEventLog, shared: SharedFolder): Promise<void> {
  await events.measure('system-preparing', NOTHING);
  await events.measure('app-id', Buffer.from(shared.instance.appId, 'hex'));
  await events.measure('compose-hash', Buffer.from(shared.composeHash, 'hex'));
  await events.measure('instance-id', Buffer.from(shared.instance.instanceId, 'hex'));
  await events.measure('boot-mr-done', NOTHING);
}

async function measureGrant(events: RuntimeEventLog, { payload }: OpenedGrant): Promise<void> {
  await events.measure('os-image-hash', Buffer.from(payload.osImageHash, 'hex'));
  await events.measure('key-provider', Buffer.from(keyProviderInfo(payload.keyProvider.id)));
}

/** Docker project name: one per instance, so that two guests of one release never share containers. */
function projectName(shared: SharedFolder): string {
  return `vouch-${shared.instance.instanceId.slice(0, 16)}`;
}
