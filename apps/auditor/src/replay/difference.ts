/** The first thing that is not as the log says. `live` and `replayed` are texts, shortened. */
export type Difference =
  | { readonly kind: 'log-gap'; readonly seq: number; readonly detail: string }
  | { readonly kind: 'log-cut'; readonly lastSeq: number; readonly position: number }
  | { readonly kind: 'event-rejected'; readonly seq: number; readonly code: string; readonly detail: string }
  | { readonly kind: 'event-missing'; readonly seq: number }
  | {
      readonly kind: 'event-bytes-differ';
      readonly seq: number;
      /** First byte that differs, from 0; equal to the shorter length when one is a prefix of the other. */
      readonly offset: number;
      readonly logLength: number;
      readonly copyLength: number;
    }
  | {
      readonly kind: 'checkpoint-invalid' | 'checkpoint-root-differs';
      readonly size: number;
      readonly detail: string;
    }
  | {
      readonly kind: 'row-missing' | 'row-extra';
      readonly table: string;
      readonly key: Readonly<Record<string, string>>;
    }
  | {
      readonly kind: 'row-differs';
      readonly table: string;
      readonly key: Readonly<Record<string, string>>;
      readonly column: string;
      readonly live: string | null;
      readonly replayed: string | null;
    }
  | { readonly kind: 'root-differs'; readonly size: number; readonly live: string; readonly replayed: string }
  | { readonly kind: 'grant-differs'; readonly seq: number; readonly count: number; readonly detail: string }
  | { readonly kind: 'live-unreadable'; readonly detail: string };

/** Thrown inside a replay to end it at the first difference; never leaves it. */
export class DifferenceFound extends Error {
  constructor(readonly difference: Difference) {
    super(describeDifference(difference));
    this.name = 'DifferenceFound';
  }
}

/** One line for a person: what differs and where. */
export function describeDifference(difference: Difference): string {
  switch (difference.kind) {
    case 'log-gap':
      return `log: event ${difference.seq} is missing: ${difference.detail}`;
    case 'log-cut':
      return `log: ends at event ${difference.lastSeq}, but the copy reaches ${difference.position}`;
    case 'event-rejected':
      return `log: event ${difference.seq} is refused (${difference.code}): ${difference.detail}`;
    case 'event-missing':
      return `table event: event ${difference.seq} is in the log but not in the copy`;
    case 'event-bytes-differ':
      return `table event, seq ${difference.seq}, column bytes: differs at byte offset ${difference.offset} (log ${difference.logLength} bytes, copy ${difference.copyLength} bytes)`;
    case 'checkpoint-invalid':
    case 'checkpoint-root-differs':
      return `table checkpoint, size ${difference.size}: ${difference.detail}`;
    case 'row-missing':
      return `table ${difference.table}: row ${keyText(difference.key)} is missing`;
    case 'row-extra':
      return `table ${difference.table}: row ${keyText(difference.key)} does not follow from the log`;
    case 'row-differs':
      return `table ${difference.table}, row ${keyText(difference.key)}, column ${difference.column}: is ${difference.live}, the log says ${difference.replayed}`;
    case 'root-differs':
      return `Merkle root of ${difference.size} events: the live tree has ${difference.live}, the log gives ${difference.replayed}`;
    case 'grant-differs':
      return `grant: the decision of event ${difference.seq} does not come out again (${difference.count} in all): ${difference.detail}`;
    case 'live-unreadable':
      return `the live tables cannot be read: ${difference.detail}`;
  }
}

function keyText(key: Readonly<Record<string, string>>): string {
  return Object.entries(key)
    .map(([column, value]) => `${column}=${value}`)
    .join(' ');
}
