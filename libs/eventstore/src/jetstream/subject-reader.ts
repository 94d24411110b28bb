import type { RawStoredMessage } from '../stored-event.js';
import type { LogApi } from './log-api.js';

/** Reads the messages of one exact subject. Nothing is checked or retried here. */
export interface SubjectReader {
  last(subject: string): Promise<RawStoredMessage | undefined>;
  /** All messages of the subject with a position above `afterSeq`, in order. */
  after(subject: string, afterSeq: number): Promise<RawStoredMessage[]>;
  /** The first message of the subject with a position above `afterSeq`. */
  firstAfter(subject: string, afterSeq: number): Promise<RawStoredMessage | undefined>;
}

/** Asks the stream's leader message by message: always current, one round trip each. */
export class MessageGetReader implements SubjectReader {
  constructor(private readonly api: LogApi) {}

  last(subject: string): Promise<RawStoredMessage | undefined> {
    return this.api.message({ last_by_subj: subject });
  }

  firstAfter(subject: string, afterSeq: number): Promise<RawStoredMessage | undefined> {
    return this.api.message({ seq: afterSeq + 1, next_by_subj: subject });
  }

  async after(subject: string, afterSeq: number): Promise<RawStoredMessage[]> {
    const messages: RawStoredMessage[] = [];
    let next = await this.firstAfter(subject, afterSeq);
    while (next !== undefined) {
      messages.push(next);
      next = await this.firstAfter(subject, next.seq);
    }
    return messages;
  }
}
