/** An error after which the service must not go on, with what it concerned ("consumer auditor"). */
export interface FatalError {
  readonly where: string;
  readonly error: Error;
}

/**
 * What the service says about itself: the reasons why it is not ready (none: ready), and the first fatal error. Anything
 * may hold readiness back under a name of its own; a fatal error holds it for ever and ends the process in order.
 */
export class ServiceState {
  readonly #holds = new Map<string, string>();
  #fatal: FatalError | undefined;
  #resolveFatal: (fatal: FatalError) => void = () => undefined;
  /** Resolves with the first fatal error. */
  readonly failed = new Promise<FatalError>((resolve) => {
    this.#resolveFatal = resolve;
  });

  /** Not ready until {@link release} of the same name. */
  hold(name: string, reason: string): void {
    this.#holds.set(name, reason);
  }

  release(name: string): void {
    this.#holds.delete(name);
  }

  /** Only the first fatal error counts; later ones usually follow from it. */
  fail(where: string, error: Error): void {
    if (this.#fatal !== undefined) return;
    this.#fatal = { where, error };
    this.hold(`fatal: ${where}`, error.message);
    this.#resolveFatal(this.#fatal);
  }

  get fatal(): FatalError | undefined {
    return this.#fatal;
  }

  get isReady(): boolean {
    return this.#holds.size === 0;
  }

  /** Name to reason of everything that holds readiness back. */
  get reasons(): Readonly<Record<string, string>> {
    return Object.fromEntries(this.#holds);
  }
}
