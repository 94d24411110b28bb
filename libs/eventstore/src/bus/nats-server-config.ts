import { type BusUser, busUserName } from './bus-user.js';
import { natsPermissions } from './nats-permissions.js';

export interface NatsServerConfigOptions {
  /** `host:port` for clients. */
  readonly listen: string;
  /** JetStream folder, absolute. */
  readonly storeDir: string;
  /** Every user that may connect; there is no anonymous access. `publicNkey` starts with "U". */
  readonly users: readonly { readonly user: BusUser; readonly publicNkey: string }[];
  readonly serverName?: string;
  /** `host:port` of the HTTP monitoring endpoint; off when absent. */
  readonly monitor?: string;
  readonly pidFile?: string;
  /** Upper bound of the JetStream folder, bytes; the server's own default (part of the disk) when absent. */
  readonly maxFileStoreBytes?: number;
  readonly tls?: { readonly certFile: string; readonly keyFile: string };
}

/** Largest message the server takes, bytes: above every stream's own limit plus headers. */
const MAX_PAYLOAD_BYTES = 1024 * 1024;

/**
 * Text of a nats-server configuration: NKey users with exactly their rights, and JetStream on file storage that syncs
 * every write to disk before it acknowledges. Throws TypeError for a value that is not what its setting takes.
 */
export function natsServerConfig(options: NatsServerConfigOptions): string {
  const lines = [
    `listen: ${quoted(options.listen)}`,
    `server_name: ${quoted(options.serverName ?? 'vouch')}`,
    `max_payload: ${MAX_PAYLOAD_BYTES}`,
    ...(options.monitor === undefined ? [] : [`http: ${quoted(options.monitor)}`]),
    ...(options.pidFile === undefined ? [] : [`pid_file: ${quoted(options.pidFile)}`]),
    ...(options.tls === undefined
      ? []
      : [`tls { cert_file: ${quoted(options.tls.certFile)}, key_file: ${quoted(options.tls.keyFile)} }`]),
    'jetstream {',
    `  store_dir: ${quoted(options.storeDir)}`,
    '  sync_interval: always',
    ...(options.maxFileStoreBytes === undefined ? [] : [`  max_file_store: ${options.maxFileStoreBytes}`]),
    '}',
    'authorization {',
    '  users: [',
    ...options.users.map(({ user, publicNkey }) => userBlock(user, publicNkey)),
    '  ]',
    '}',
  ];
  return `${lines.join('\n')}\n`;
}

function userBlock(user: BusUser, publicNkey: string): string {
  if (!/^U[A-Z2-7]{55}$/.test(publicNkey)) {
    throw new TypeError(`${busUserName(user)}: a public NKey of a user starts with "U" and has 56 characters`);
  }
  const { publish, subscribe } = natsPermissions(user);
  return [
    `    # ${busUserName(user)}`,
    `    { nkey: ${publicNkey}, permissions: {`,
    `      publish: { allow: ${list(publish.allow)}${publish.deny === undefined ? '' : `, deny: ${list(publish.deny)}`} }`,
    `      subscribe: { allow: ${list(subscribe.allow)} }`,
    '    } }',
  ].join('\n');
}

function list(subjects: readonly string[]): string {
  return `[${subjects.map(quoted).join(', ')}]`;
}

/** A configuration string. Quotes, backslashes and line breaks have no use in these values and are refused. */
function quoted(value: string): string {
  if (/["\\\r\n]/.test(value)) throw new TypeError(`not usable in a server configuration: ${JSON.stringify(value)}`);
  return `"${value}"`;
}
