import canonicalize from 'canonicalize';

/**
 * RFC 8785 (JCS) text of a JSON value: members sorted by UTF-16 code unit, no white space.
 * Throws TypeError for values JSON cannot carry (undefined, NaN, Infinity, lone surrogates).
 */
export function canonicalJson(value: unknown): string {
  const text = canonicalize(value);
  if (text === undefined) throw new TypeError('value has no JSON form');
  return text;
}

/** UTF-8 bytes of {@link canonicalJson}. */
export function canonicalBytes(value: unknown): Uint8Array {
  return new TextEncoder().encode(canonicalJson(value));
}
