/** Keys of a bucket with a value each, found by the instance they belong to or by themselves. */
export class KeysByInstance {
  readonly #byInstance = new Map<string, Map<string, string>>();
  readonly #instanceOf = new Map<string, string>();

  set(instanceId: string, key: string, value: string): void {
    this.delete(key);
    const keys = this.#byInstance.get(instanceId) ?? new Map<string, string>();
    keys.set(key, value);
    this.#byInstance.set(instanceId, keys);
    this.#instanceOf.set(key, instanceId);
  }

  delete(key: string): void {
    const instanceId = this.#instanceOf.get(key);
    if (instanceId === undefined) return;
    this.#instanceOf.delete(key);
    const keys = this.#byInstance.get(instanceId);
    keys?.delete(key);
    if (keys?.size === 0) this.#byInstance.delete(instanceId);
  }

  /** A copy: what is done with it does not change the index. */
  of(instanceId: string): ReadonlyMap<string, string> {
    return new Map(this.#byInstance.get(instanceId));
  }

  clear(): void {
    this.#byInstance.clear();
    this.#instanceOf.clear();
  }
}
