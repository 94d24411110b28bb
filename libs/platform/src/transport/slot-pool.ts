/** A fixed number of slots for work in flight. */
export class SlotPool {
  #taken = 0;
  #waiting: (() => void)[] = [];

  constructor(private readonly size: number) {
    if (!Number.isInteger(size) || size < 1) throw new RangeError(`a pool needs at least one slot, not ${size}`);
  }

  /** Waits until at least one slot is free; returns how many are. */
  async someFree(): Promise<number> {
    while (this.#taken >= this.size) await this.#change();
    return this.size - this.#taken;
  }

  async take(): Promise<void> {
    await this.someFree();
    this.#taken += 1;
  }

  /** Takes a slot only if one is free at once. */
  tryTake(): boolean {
    if (this.#taken >= this.size) return false;
    this.#taken += 1;
    return true;
  }

  give(): void {
    this.#taken -= 1;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const wake of waiting) wake();
  }

  /** Waits until no slot is taken. */
  async idle(): Promise<void> {
    while (this.#taken > 0) await this.#change();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}
