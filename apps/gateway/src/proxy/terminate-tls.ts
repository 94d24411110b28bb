import type { Socket } from 'node:net';
import { type SecureContext, TLSSocket } from 'node:tls';
import { ConnectionRefusedError } from './refusal.js';

export interface TerminateOptions {
  readonly context: SecureContext;
  /** Protocols to choose from; empty: none is negotiated, as dstack does for names without a letter. */
  readonly alpn: readonly string[];
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/**
 * Takes the server's part of a TLS handshake on a connection whose ClientHello was put back. Resolves with the decrypted
 * stream, paused. Throws ConnectionRefusedError: OpenSSL has then sent its alert, and the connection is to be destroyed.
 */
export function terminateTls(socket: Socket, options: TerminateOptions): Promise<TLSSocket> {
  const { context, alpn, timeoutMs, signal } = options;
  const stream = new TLSSocket(socket, {
    isServer: true,
    secureContext: context,
    ...(alpn.length === 0 ? {} : { ALPNProtocols: [...alpn] }),
  });
  return new Promise((resolve, reject) => {
    const settle = (settled: () => void) => {
      clearTimeout(timer);
      stream.off('secure', onSecure);
      stream.off('close', onClose);
      signal.removeEventListener('abort', onAbort);
      settled();
    };
    const refuse = (refusal: ConnectionRefusedError) => settle(() => reject(refusal));
    const timer = setTimeout(() => refuse(new ConnectionRefusedError('handshake-timeout')), timeoutMs);
    const onSecure = () => settle(() => resolve(stream));
    const onClose = () => refuse(new ConnectionRefusedError('handshake-failed'));
    // The connection itself closes first when OpenSSL gives up: that is a failed handshake too.
    const onAbort = () => {
      const { reason } = signal;
      refuse(reason instanceof ConnectionRefusedError ? reason : new ConnectionRefusedError('handshake-failed'));
    };
    // Also after the handshake: an error of the stream ends this connection only.
    stream.on('error', () => stream.destroy());
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    stream.on('secure', onSecure);
    stream.on('close', onClose);
  });
}
