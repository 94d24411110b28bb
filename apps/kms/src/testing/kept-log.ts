import type { FieldLogger } from '@vouch/platform';

/** Keeps what was logged, as text, so that a test can look for what must not be there. */
export class KeptLog implements FieldLogger {
  readonly lines: string[] = [];
  info(fields: object, message: string): void {
    this.lines.push(JSON.stringify({ ...fields, message }));
  }
  warn(fields: object, message: string): void {
    this.info(fields, message);
  }
  error(fields: object, message: string): void {
    this.info(fields, message);
  }
}
