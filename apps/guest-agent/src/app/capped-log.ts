import { closeSync, openSync, renameSync, statSync, writeSync } from 'node:fs';

/** A file of at most `maxBytes`; a full one becomes `<path>.1`, replacing the one before. */
export class CappedLog {
  #file: number;
  #size: number;

  constructor(
    private readonly path: string,
    private readonly maxBytes: number,
  ) {
    this.#file = openSync(path, 'a', 0o600);
    this.#size = statSync(path).size;
  }

  write(chunk: Uint8Array): void {
    if (this.#size > 0 && this.#size + chunk.length > this.maxBytes) this.#rotate();
    writeSync(this.#file, chunk);
    this.#size += chunk.length;
  }

  close(): void {
    closeSync(this.#file);
  }

  #rotate(): void {
    closeSync(this.#file);
    renameSync(this.path, `${this.path}.1`);
    this.#file = openSync(this.path, 'a', 0o600);
    this.#size = 0;
  }
}
