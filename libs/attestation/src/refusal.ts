/**
 * An expected refusal travelling up inside this package. Public functions turn it into a value (`{ ok: false }`); it never
 * leaves the package, and any other exception is a bug and is let through.
 */
export class Refusal extends Error {
  constructor(
    /** Stable, upper snake case. */
    readonly code: string,
    message: string,
    /** Byte offset in the parsed input, or -1 where there is none. */
    readonly offset = -1,
  ) {
    super(message);
    this.name = 'Refusal';
  }
}
