import { isIPv4 } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { AgentFailure } from './agent-failure.js';

/** Longest path of a unix socket on Linux, in bytes, without the final zero. */
const SOCKET_PATH_MAX = 107;

export interface AgentArguments {
  /** Folder the host filled: app-compose.json, .sys-config.json, .instance_info, .encrypted-env. */
  readonly shared: string;
  readonly hostSocket: string;
  readonly tsmSocket: string;
  /** Where dstack.sock is served. */
  readonly listen: string;
  /** The guest's own folder. */
  readonly state: string;
  /** IPv4 address the app binds and is probed at. */
  readonly address: string;
  readonly appLog: string;
}

const USAGE =
  'usage: guest-agent --shared DIR --host-socket PATH --tsm-socket PATH --listen PATH --state DIR --address IPV4 [--app-log PATH]';

/** Reads the command line. Throws AgentFailure `usage` naming what is missing or wrong. */
export function readArguments(argv: readonly string[]): AgentArguments {
  const text = { type: 'string' } as const;
  const options = {
    shared: text,
    'host-socket': text,
    'tsm-socket': text,
    listen: text,
    state: text,
    address: text,
    'app-log': text,
  } as const;
  let values: { [Name in keyof typeof options]?: string };
  try {
    values = parseArgs({ args: [...argv], options, strict: true, allowPositionals: false }).values;
  } catch (cause) {
    throw new AgentFailure('usage', `${(cause as Error).message}\n${USAGE}`, false, { cause });
  }
  const path = (name: keyof typeof options): string => {
    const value = values[name];
    if (value === undefined || value === '') throw new AgentFailure('usage', `--${name} is missing\n${USAGE}`);
    return resolve(value);
  };
  const socket = (name: 'host-socket' | 'tsm-socket' | 'listen'): string => {
    const value = path(name);
    if (Buffer.byteLength(value) > SOCKET_PATH_MAX) {
      throw new AgentFailure('usage', `--${name}: a socket path has at most ${SOCKET_PATH_MAX} bytes: ${value}`);
    }
    return value;
  };
  const { address } = values;
  if (address === undefined || !isIPv4(address)) {
    throw new AgentFailure('usage', `--address must be an IPv4 address\n${USAGE}`);
  }
  const state = path('state');
  return {
    shared: path('shared'),
    hostSocket: socket('host-socket'),
    tsmSocket: socket('tsm-socket'),
    listen: socket('listen'),
    state,
    address,
    appLog: values['app-log'] === undefined ? join(dirname(state), 'app.log') : path('app-log'),
  };
}
