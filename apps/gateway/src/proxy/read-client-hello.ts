import type { Socket } from 'node:net';
import { ClientHelloReader } from '../tls/client-hello.js';
import { ConnectionRefusedError } from './refusal.js';

/**
 * Reads the ClientHello of a fresh, paused connection and puts its bytes back, so that the handshake (here or at the app)
 * starts from the first byte. Resolves with the server name. Throws ConnectionRefusedError; `signal` aborts the wait.
 */
export function readClientHello(socket: Socket, timeoutMs: number, signal: AbortSignal): Promise<string> {
  const reader = new ClientHelloReader();
  return new Promise((resolve, reject) => {
    const settle = (settled: () => void) => {
      clearTimeout(timer);
      socket.off('data', onData);
      socket.off('end', onEnd);
      signal.removeEventListener('abort', onAbort);
      socket.pause();
      settled();
    };
    const refuse = (refusal: ConnectionRefusedError) => settle(() => reject(refusal));
    const timer = setTimeout(() => refuse(new ConnectionRefusedError('client-hello-timeout')), timeoutMs);
    const onEnd = () => refuse(new ConnectionRefusedError('client-left'));
    const onAbort = () => refuse(asRefusal(signal.reason));
    const onData = (chunk: Buffer) => {
      const reading = reader.push(chunk);
      if (reading.state === 'incomplete') return;
      if (reading.state === 'refused') {
        const code = reading.reason === 'not-tls' ? 'not-tls' : 'client-hello-invalid';
        return refuse(new ConnectionRefusedError(code, 'decodeError'));
      }
      const { serverName } = reading;
      if (serverName === undefined) return refuse(new ConnectionRefusedError('no-server-name'));
      settle(() => {
        socket.unshift(reader.received());
        resolve(serverName);
      });
    };
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    socket.on('data', onData);
    socket.on('end', onEnd);
    socket.resume();
  });
}

/** An aborted wait ends with the refusal that aborted it; without one, the client went away. */
export function asRefusal(reason: unknown): ConnectionRefusedError {
  return reason instanceof ConnectionRefusedError ? reason : new ConnectionRefusedError('client-left');
}
