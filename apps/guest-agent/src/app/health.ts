import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const FIRST_WAIT_MS = 25;
const LONGEST_WAIT_MS = 500;
const CONNECT_TIMEOUT_MS = 2_000;
/** An app that declares no port counts as healthy once it ran this long. */
const RUN_TIME_MS = 2_000;

/** Waits until every port of the address accepts a TCP connection, or, without ports, two seconds. */
export async function untilHealthy(address: string, ports: readonly number[], signal: AbortSignal): Promise<void> {
  if (ports.length === 0) {
    await sleep(RUN_TIME_MS, undefined, { signal });
    return;
  }
  await Promise.all(ports.map((port) => untilAccepts(address, port, signal)));
}

async function untilAccepts(host: string, port: number, signal: AbortSignal): Promise<void> {
  for (let waitMs = FIRST_WAIT_MS; !(await accepts(host, port)); waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS)) {
    await sleep(waitMs, undefined, { signal });
  }
}

function accepts(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: CONNECT_TIMEOUT_MS });
    const settle = (accepted: boolean) => () => {
      socket.destroy();
      resolve(accepted);
    };
    socket.once('connect', settle(true));
    socket.once('timeout', settle(false));
    socket.once('error', settle(false));
  });
}
