import { connect, type Socket } from 'node:net';
import { asRefusal } from './read-client-hello.js';

/**
 * Opens a TCP connection to an instance. Rejects with the connection's error, an Error after `timeoutMs`, or the
 * ConnectionRefusedError that `signal` was aborted with.
 */
export function connectUpstream(
  address: string,
  port: number,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(asRefusal(signal.reason));
    const upstream = connect({ host: address, port, noDelay: true, allowHalfOpen: true });
    const settle = (settled: () => void) => {
      clearTimeout(timer);
      upstream.off('connect', onConnect);
      upstream.off('error', fail);
      signal.removeEventListener('abort', onAbort);
      settled();
    };
    const fail = (error: Error) =>
      settle(() => {
        upstream.on('error', () => undefined);
        upstream.destroy();
        reject(error);
      });
    const timer = setTimeout(() => fail(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
    const onConnect = () => settle(() => resolve(upstream));
    const onAbort = () => fail(asRefusal(signal.reason));
    signal.addEventListener('abort', onAbort, { once: true });
    upstream.on('connect', onConnect);
    upstream.on('error', fail);
  });
}
