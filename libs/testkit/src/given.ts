import assert from 'node:assert/strict';
import type { Decision, DomainEvent } from '@vouch/domain';

/** The three functions of a decider. */
export interface Decider<Command, State, Event extends DomainEvent> {
  readonly initial: State;
  readonly decide: (command: Command, state: State) => Decision<Event>;
  readonly evolve: (state: State, event: Event) => State;
}

/**
 * Given-when-then for deciders:
 * `given(decider, past).when(command).thenEvents(expected)`, or `.thenRefused(code)`, or `.thenState(state)`.
 */
export function given<Command, State, Event extends DomainEvent>(
  decider: Decider<Command, State, Event>,
  past: readonly Event[],
): { when(command: Command): Outcome<State, Event> } {
  const state = past.reduce(decider.evolve, decider.initial);
  return { when: (command) => new Outcome(state, decider.decide(command, state), decider.evolve) };
}

export class Outcome<State, Event extends DomainEvent> {
  constructor(
    private readonly before: State,
    readonly decision: Decision<Event>,
    private readonly evolve: (state: State, event: Event) => State,
  ) {}

  /** Exactly these events; none at all means that the asked-for state already holds. */
  thenEvents(...expected: readonly Event[]): this {
    assert.deepEqual(this.decision, { ok: true, events: expected });
    return this;
  }

  thenRefused(code: string, field?: string): this {
    if (this.decision.ok) assert.fail(`expected refusal ${code}, got ${JSON.stringify(this.decision.events)}`);
    assert.equal(this.decision.refusal.code, code);
    if (field !== undefined) assert.equal(this.decision.refusal.field, field);
    return this;
  }

  /** The state after the decided events. */
  thenState(expected: State): this {
    if (!this.decision.ok) assert.fail(`refused: ${JSON.stringify(this.decision.refusal)}`);
    assert.deepEqual(this.decision.events.reduce(this.evolve, this.before), expected);
    return this;
  }
}
