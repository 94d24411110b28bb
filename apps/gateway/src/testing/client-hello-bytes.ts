/** Builds ClientHello bytes for tests, with whatever is wrong about them. */
export interface HelloOptions {
  /** Server name extension; absent: none. */
  readonly serverName?: string;
  /** Extra extension bytes, to make the hello large. */
  readonly paddingBytes?: number;
  /** Repeats the server name extension. */
  readonly twice?: boolean;
}

const lengthPrefixed = (size: number, body: Buffer): Buffer => {
  const length = Buffer.alloc(size);
  length.writeUIntBE(body.length, 0, size);
  return Buffer.concat([length, body]);
};

const extension = (type: number, body: Buffer): Buffer =>
  Buffer.concat([Buffer.from([type >> 8, type & 0xff]), lengthPrefixed(2, body)]);

/** The handshake message, without records. */
export function clientHelloMessage(options: HelloOptions): Buffer {
  const extensions: Buffer[] = [];
  // Padding (21) stands before the name, so that the name is in the last record.
  if (options.paddingBytes !== undefined) extensions.push(extension(21, Buffer.alloc(options.paddingBytes)));
  if (options.serverName !== undefined) {
    const name = Buffer.concat([Buffer.from([0]), lengthPrefixed(2, Buffer.from(options.serverName, 'latin1'))]);
    const sni = extension(0, lengthPrefixed(2, name));
    extensions.push(sni, ...(options.twice ? [sni] : []));
  }
  const body = Buffer.concat([
    Buffer.from([3, 3]),
    Buffer.alloc(32, 7),
    lengthPrefixed(1, Buffer.alloc(32, 8)),
    lengthPrefixed(2, Buffer.from([0x13, 0x01])),
    lengthPrefixed(1, Buffer.from([0])),
    lengthPrefixed(2, Buffer.concat(extensions)),
  ]);
  return Buffer.concat([Buffer.from([1]), lengthPrefixed(3, body)]);
}

/** Splits a handshake message over records of at most `recordBytes` each. */
export function inRecords(message: Buffer, recordBytes = 16_384): Buffer {
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += recordBytes) {
    records.push(Buffer.from([22, 3, 1]), lengthPrefixed(2, message.subarray(at, at + recordBytes)));
  }
  return Buffer.concat(records);
}
