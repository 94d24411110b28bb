/** ISO 8601 UTC as Postgres reads it: the year 0000 of ISO is 1 BC there. */
export function timestampText(iso: string): string {
  return iso.startsWith('0000-') ? `0001-${iso.slice(5)} BC` : iso;
}
