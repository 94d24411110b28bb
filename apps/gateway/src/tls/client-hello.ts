/**
 * Reads a TLS ClientHello from a byte stream before the handshake is taken up, as far as routing needs it: the server
 * name. It joins handshake messages that are spread over records and records that are spread over packets (post-quantum
 * key shares make both common), and its work is linear in the bytes it is given, which are limited.
 */
export type ClientHelloReading =
  | { readonly state: 'incomplete' }
  | { readonly state: 'complete'; readonly serverName: string | undefined }
  | { readonly state: 'refused'; readonly reason: ClientHelloRefusal };

export type ClientHelloRefusal = 'not-tls' | 'malformed' | 'too-large';

/** Largest ClientHello taken, in bytes of handshake message. OpenSSL's own limit is of the same order. */
export const MAX_CLIENT_HELLO_BYTES = 64 * 1024;

/** TLS record header (RFC 8446 §5.1): type 1, legacy version 2, length 2. */
const RECORD = { headerBytes: 5, handshake: 22, majorVersion: 3, maxBytes: 16_384 } as const;
/** Handshake header (§4): type 1, length 3. */
const HANDSHAKE = { headerBytes: 4, clientHello: 1 } as const;
const EXTENSION_SERVER_NAME = 0;
const NAME_TYPE_HOST = 0;
const MAX_NAME_BYTES = 255;

const INCOMPLETE: ClientHelloReading = { state: 'incomplete' };

export class ClientHelloReader {
  /** Everything received, in order: it is replayed to whoever takes the connection. */
  readonly #received: Buffer[] = [];
  /** Bytes received and not yet taken into a record. */
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  /** Pending bytes without which there is nothing new to see: a record header, then its whole record. */
  #neededBytes: number = RECORD.headerBytes;
  #message: Buffer[] = [];
  #messageBytes = 0;
  /** Length of the whole handshake message once its header is known. */
  #expectedBytes: number | undefined;

  /** Takes the next bytes. After anything but `incomplete` the answer no longer changes; do not call again. */
  push(chunk: Buffer): ClientHelloReading {
    // A first byte that is no TLS is answered at once, not after a time-out.
    if (this.#received.length === 0 && chunk.length > 0 && chunk[0] !== RECORD.handshake) {
      this.#received.push(chunk);
      return { state: 'refused', reason: 'not-tls' };
    }
    this.#received.push(chunk);
    this.#pending.push(chunk);
    this.#pendingBytes += chunk.length;
    while (this.#pendingBytes >= this.#neededBytes) {
      const refusal = this.#takeNext();
      if (refusal !== undefined) return { state: 'refused', reason: refusal };
      const reading = this.#readMessage();
      if (reading.state !== 'incomplete') return reading;
    }
    return INCOMPLETE;
  }

  /** All bytes received so far. */
  received(): Buffer {
    return Buffer.concat(this.#received);
  }

  /** Takes a record header, or the record it announced. */
  #takeNext(): ClientHelloRefusal | undefined {
    const bytes = Buffer.concat(this.#pending);
    this.#pending = [bytes];
    if (this.#neededBytes === RECORD.headerBytes) {
      if (bytes[0] !== RECORD.handshake || bytes[1] !== RECORD.majorVersion) return 'malformed';
      const length = bytes.readUInt16BE(3);
      if (length === 0 || length > RECORD.maxBytes) return 'malformed';
      if (this.#messageBytes + length > MAX_CLIENT_HELLO_BYTES) return 'too-large';
      this.#neededBytes = RECORD.headerBytes + length;
      return undefined;
    }
    const record = bytes.subarray(RECORD.headerBytes, this.#neededBytes);
    const rest = bytes.subarray(this.#neededBytes);
    this.#pending = [rest];
    this.#pendingBytes = rest.length;
    this.#neededBytes = RECORD.headerBytes;
    this.#message.push(record);
    this.#messageBytes += record.length;
    return undefined;
  }

  #readMessage(): ClientHelloReading {
    if (this.#messageBytes < HANDSHAKE.headerBytes) return INCOMPLETE;
    if (this.#expectedBytes === undefined) {
      const head = this.#joined();
      if (head[0] !== HANDSHAKE.clientHello) return { state: 'refused', reason: 'malformed' };
      this.#expectedBytes = HANDSHAKE.headerBytes + head.readUIntBE(1, 3);
      if (this.#expectedBytes > MAX_CLIENT_HELLO_BYTES) return { state: 'refused', reason: 'too-large' };
    }
    if (this.#messageBytes < this.#expectedBytes) return INCOMPLETE;
    try {
      const body = this.#joined().subarray(HANDSHAKE.headerBytes, this.#expectedBytes);
      return { state: 'complete', serverName: serverNameOf(new Fields(body)) };
    } catch (error) {
      if (error instanceof MalformedError) return { state: 'refused', reason: 'malformed' };
      throw error;
    }
  }

  #joined(): Buffer {
    const [only] = this.#message;
    if (only !== undefined && this.#message.length === 1) return only;
    const joined = Buffer.concat(this.#message);
    this.#message = [joined];
    return joined;
  }
}

/** A length that points outside its field. Never leaves this file. */
class MalformedError extends Error {}

/** Reads length-prefixed fields; every read is checked against the end. */
class Fields {
  #offset = 0;
  constructor(private readonly bytes: Buffer) {}

  get isDone(): boolean {
    return this.#offset === this.bytes.length;
  }

  take(length: number): Buffer {
    const end = this.#offset + length;
    if (end > this.bytes.length) throw new MalformedError();
    const field = this.bytes.subarray(this.#offset, end);
    this.#offset = end;
    return field;
  }

  uint(size: 1 | 2): number {
    return this.take(size).readUIntBE(0, size);
  }

  /** A field whose length stands before it in `size` bytes. */
  field(size: 1 | 2): Buffer {
    return this.take(this.uint(size));
  }
}

/** ClientHello body (RFC 8446 §4.1.2): version 2, random 32, session id, cipher suites, compression, extensions. */
function serverNameOf(hello: Fields): string | undefined {
  hello.take(2 + 32);
  hello.field(1);
  hello.field(2);
  hello.field(1);
  if (hello.isDone) return undefined;
  const extensions = new Fields(hello.field(2));
  if (!hello.isDone) throw new MalformedError();
  let name: string | undefined;
  while (!extensions.isDone) {
    const type = extensions.uint(2);
    const data = extensions.field(2);
    if (type !== EXTENSION_SERVER_NAME) continue;
    if (name !== undefined) throw new MalformedError();
    name = hostNameOf(new Fields(data));
  }
  return name;
}

/** Server name list (RFC 6066 §3): exactly one host name is meaningful. */
function hostNameOf(extension: Fields): string {
  const list = new Fields(extension.field(2));
  if (!extension.isDone) throw new MalformedError();
  let name: string | undefined;
  while (!list.isDone) {
    const type = list.uint(1);
    const value = list.field(2);
    if (type !== NAME_TYPE_HOST) continue;
    if (name !== undefined || value.length === 0 || value.length > MAX_NAME_BYTES) throw new MalformedError();
    name = value.toString('latin1');
    if (!/^[A-Za-z0-9._-]+$/.test(name)) throw new MalformedError();
  }
  if (name === undefined) throw new MalformedError();
  return name;
}
