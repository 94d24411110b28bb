/** Fatal alerts the gateway sends before a handshake (RFC 8446 §6). */
const DESCRIPTION = { handshakeFailure: 40, decodeError: 50, internalError: 80, unrecognizedName: 112 } as const;
export type TlsAlert = keyof typeof DESCRIPTION;

const HEADER = [21, 3, 3, 0, 2] as const;
const FATAL = 2;

/** One plaintext alert record, 7 bytes: the client learns why, instead of seeing the connection drop. */
export function tlsAlert(alert: TlsAlert): Buffer {
  return Buffer.from([...HEADER, FATAL, DESCRIPTION[alert]]);
}
