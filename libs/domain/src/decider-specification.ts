import { expect } from 'vitest';
import type { Decision, DomainEvent } from './decision.js';

/** Given-when-then for one decider: `given(...history).when(command).then(...events)` or `.thenRefused(code, field)`. */
export function specificationOf<C, S, E extends DomainEvent>(decider: {
  readonly initial: S;
  readonly decide: (command: C, state: S) => Decision<E>;
  readonly evolve: (state: S, event: E) => S;
}) {
  return {
    given: (...history: E[]) => ({
      when: (command: C) => {
        const decision = decider.decide(command, history.reduce(decider.evolve, decider.initial));
        return {
          // biome-ignore lint/suspicious/noThenProperty: the word of the method; the object is never awaited
          then: (...events: E[]) => expect(decision).toEqual({ ok: true, events }),
          thenRefused: (code: string, field?: string) => {
            if (decision.ok) throw new Error(`expected refusal ${code}, got ${JSON.stringify(decision.events)}`);
            expect(decision.refusal.code).toBe(code);
            if (field !== undefined) expect(decision.refusal.field).toBe(field);
            return decision.refusal;
          },
        };
      },
    }),
  };
}
