/** How far the routing table has got in the log, for whoever must not act before a certain point. */
export class LogPosition {
  #position = 0;
  #waiting: { readonly seq: number; readonly resolve: () => void }[] = [];

  /** The event at `seq` has been applied, and all before it. */
  reached(seq: number): void {
    this.#position = seq;
    const due = this.#waiting.filter((waiter) => waiter.seq <= seq);
    this.#waiting = this.#waiting.filter((waiter) => waiter.seq > seq);
    for (const { resolve } of due) resolve();
  }

  /** Resolves once the event at `seq` has been applied; at once for 0. */
  async at(seq: number): Promise<void> {
    if (seq <= this.#position) return;
    await new Promise<void>((resolve) => this.#waiting.push({ seq, resolve }));
  }
}
