/** One protocol message of a NATS server, bytes as they came. `subject` is empty except for messages. */
export interface NatsFrame {
  readonly bytes: Buffer;
  readonly subject: string;
  /** Headers and payload of a message, as text. */
  readonly text: string;
}

const LINE_END = '\r\n';

/**
 * Splits what a NATS server sends into protocol messages: `MSG <subject> <sid> [reply] <bytes>`, `HMSG … <header bytes>
 * <total bytes>`, each followed by a payload, and single lines for everything else (NATS client protocol).
 */
export class NatsFrameReader {
  #buffer = Buffer.alloc(0);

  /** Takes the next chunk; returns the messages that are now complete. */
  push(chunk: Buffer): NatsFrame[] {
    this.#buffer = Buffer.concat([this.#buffer, chunk]);
    const frames: NatsFrame[] = [];
    for (let frame = this.#next(); frame !== undefined; frame = this.#next()) frames.push(frame);
    return frames;
  }

  #next(): NatsFrame | undefined {
    const lineEnd = this.#buffer.indexOf(LINE_END);
    if (lineEnd < 0) return undefined;
    const words = this.#buffer.toString('latin1', 0, lineEnd).split(' ');
    const isMessage = words[0] === 'MSG' || words[0] === 'HMSG';
    const payloadStart = lineEnd + LINE_END.length;
    const end = isMessage ? payloadStart + Number(words.at(-1)) + LINE_END.length : payloadStart;
    if (this.#buffer.length < end) return undefined;
    const bytes = this.#buffer.subarray(0, end);
    this.#buffer = this.#buffer.subarray(end);
    return {
      bytes,
      subject: isMessage ? (words[1] ?? '') : '',
      text: bytes.toString('latin1', payloadStart),
    };
  }
}
