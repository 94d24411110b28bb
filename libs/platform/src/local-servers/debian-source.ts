/** One package source of the machine, as far as it is needed to ask the same mirror for another suite. */
export interface DebianSource {
  readonly uri: string;
  readonly suites: readonly string[];
  /** Keyring path, or undefined when the source names none. */
  readonly signedBy: string | undefined;
}

/** Reads deb822 (`*.sources`) text (sources.list(5)): stanzas of type deb with an http(s) or file mirror. */
export function parseDeb822Sources(text: string): DebianSource[] {
  return text
    .split(/\n\s*\n/)
    .map((stanza) => fieldsOf(stanza))
    .filter((fields) => fields.get('types')?.split(/\s+/).includes('deb') && fields.get('enabled') !== 'no')
    .flatMap((fields) =>
      (fields.get('uris')?.split(/\s+/) ?? []).map((uri) => ({
        uri,
        suites: fields.get('suites')?.split(/\s+/) ?? [],
        signedBy: fields.get('signed-by'),
      })),
    )
    .filter(isMirror);
}

/** Reads one-line (`sources.list`) text. */
export function parseOneLineSources(text: string): DebianSource[] {
  return text
    .split('\n')
    .map((line) => /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)/.exec(line))
    .filter((match) => match !== null)
    .map(([, options, uri = '', suite = '']) => ({
      uri,
      suites: [suite],
      signedBy: /signed-by=(\S+)/.exec(options ?? '')?.[1],
    }))
    .filter(isMirror);
}

/**
 * The source that carries the main Debian archive: one that lists `codename` itself (not -updates or -security) and
 * whose address does not look like a third party's.
 */
export function mainArchive(sources: readonly DebianSource[], codename: string): DebianSource | undefined {
  const carrying = sources.filter(
    ({ uri, suites }) =>
      !/debian-security|\/security\b/.test(uri) && suites.some((suite) => suite.replace(/\/$/, '') === codename),
  );
  return carrying.find(({ uri }) => /debian\/?$/.test(uri)) ?? carrying[0];
}

function fieldsOf(stanza: string): Map<string, string> {
  const fields = new Map<string, string>();
  let last = '';
  for (const line of stanza.split('\n')) {
    if (line.startsWith('#')) continue;
    const match = /^([A-Za-z-]+):\s*(.*)$/.exec(line);
    if (match) {
      last = (match[1] ?? '').toLowerCase();
      fields.set(last, (match[2] ?? '').trim());
    } else if (/^\s+\S/.test(line) && last !== '') {
      fields.set(last, `${fields.get(last)} ${line.trim()}`.trim());
    }
  }
  return fields;
}

function isMirror({ uri }: DebianSource): boolean {
  return /^(https?|file|copy|mirror\+https?):/.test(uri);
}
