/** True when a NATS subject matches a filter: `*` is one token, `>` is one or more tokens at the end. */
export function matchesFilter(subject: string, filter: string): boolean {
  const have = subject.split('.');
  const want = filter.split('.');
  for (const [index, token] of want.entries()) {
    if (token === '>') return index === want.length - 1 && have.length > index;
    if (have[index] === undefined || (token !== '*' && token !== have[index])) return false;
  }
  return have.length === want.length;
}

/** True when there are no filters (everything matches) or one of them matches. */
export function matchesAnyFilter(subject: string, filters: readonly string[] | undefined): boolean {
  return filters === undefined || filters.length === 0 || filters.some((filter) => matchesFilter(subject, filter));
}
