/** NUL and lone surrogates: legal in JSON, refused by Postgres in text and jsonb. */
const UNSTORABLE = /[\0\p{Surrogate}]/gu;
const REPLACEMENT = '\ufffd';

/**
 * The same value with every NUL and lone surrogate in its strings (member names too) replaced by U+FFFD. A row may lose
 * such a character, the event's own bytes never do; without this one hostile string would stop the projection.
 */
export function storable<V>(value: V): V {
  return cleaned(value) as V;
}

function cleaned(value: unknown): unknown {
  if (typeof value === 'string') return value.replace(UNSTORABLE, REPLACEMENT);
  if (Array.isArray(value)) return value.map(cleaned);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [cleaned(name), cleaned(member)]));
}
