import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

type Line = Readonly<Record<string, unknown>>;

/** A service of this repository as a process of its own, known by the JSON lines it logs. */
export class ChildService {
  readonly lines: Line[] = [];
  readonly #waiting: { want: (line: Line) => boolean; resolve: (line: Line) => void }[] = [];

  private constructor(private readonly child: ChildProcess) {}

  /** `entry`: path of the built main module. Inherits nothing of the environment but PATH. */
  static start(entry: string, env: Record<string, string>): ChildService {
    const child = spawn(process.execPath, [entry], {
      env: { PATH: process.env.PATH ?? '', ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const service = new ChildService(child);
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (text) => service.#take(text));
    return service;
  }

  /** The first line, past or to come, that is wanted. Rejects when the process ends first. */
  async line(want: (line: Line) => boolean): Promise<Line> {
    const found = this.lines.find(want);
    if (found !== undefined) return found;
    const ended = once(this.child, 'exit').then(() => {
      throw new Error(`the process ended; it said ${JSON.stringify(this.lines.slice(-5))}`);
    });
    return await Promise.race([ended, new Promise<Line>((resolve) => this.#waiting.push({ want, resolve }))]);
  }

  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return this.child.exitCode;
    const exited = once(this.child, 'exit');
    this.child.kill(signal);
    await exited;
    return this.child.exitCode;
  }

  #take(text: string): void {
    let line: Line;
    try {
      line = JSON.parse(text) as Line;
    } catch {
      line = { msg: text };
    }
    this.lines.push(line);
    for (const waiting of [...this.#waiting]) {
      if (!waiting.want(line)) continue;
      this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
      waiting.resolve(line);
    }
  }
}
