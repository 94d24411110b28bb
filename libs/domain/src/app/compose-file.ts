import { Lexer, parseDocument } from 'yaml';
import type { FieldError } from '../decision.js';

/** Anchors may be expanded this often before the file counts as an alias bomb (`yaml` documents the measure). */
const MAX_ALIAS_COUNT = 100;
/** Flow collections and one-line sequences may nest this deep; indentation bounds the rest by the size of the file. */
const MAX_DEPTH = 64;
/** Lexer tokens (names, values, indicators, white space): a thousand-line compose file has about 6,000. */
const MAX_TOKENS = 32_768;
/** The lexer's announcement of a scalar (`yaml` CST.SCALAR): the next token is its text. */
const SCALAR_MARK = '\x1f';

export type ComposeFileResult =
  | { readonly ok: true; readonly ports: readonly number[] }
  | { readonly ok: false; readonly errors: readonly FieldError[] };

/**
 * Checks a docker compose file (YAML text): one document, no duplicate keys, bounded aliases and depth, at least one
 * service. `ports` are the TCP ports its services publish inside the guest, ascending. `field` prefixes error paths.
 */
export function readComposeFile(text: string, field: string): ComposeFileResult {
  const one = (message: string, path = field): ComposeFileResult => ({
    ok: false,
    errors: [{ field: path, message }],
  });
  const excess = excessOf(text);
  if (excess !== undefined) return one(excess);
  let file: unknown;
  try {
    const document = parseDocument(text, {
      uniqueKeys: true,
      prettyErrors: true,
      stringKeys: true,
      logLevel: 'error',
    });
    const [error] = document.errors;
    if (error !== undefined) return one(`is not valid YAML: ${firstLine(error.message)}`);
    file = document.toJS({ maxAliasCount: MAX_ALIAS_COUNT });
  } catch (error) {
    if (error instanceof ReferenceError) return one('expands its aliases too often (alias bomb)');
    return one(`cannot be read as YAML: ${error instanceof Error ? firstLine(error.message) : 'unknown cause'}`);
  }
  if (!isMapping(file)) return one('must be a YAML mapping with a "services" key');
  if (!isMapping(file.services) || Object.keys(file.services).length === 0) {
    return one('must define at least one service', `${field}.services`);
  }
  const errors: FieldError[] = [];
  const ports = new Set<number>();
  for (const [name, service] of Object.entries(file.services)) {
    const path = `${field}.services.${name}`;
    if (!isMapping(service)) errors.push({ field: path, message: 'must be a mapping' });
    else if (typeof service.image !== 'string' && service.build === undefined && service.extends === undefined) {
      errors.push({ field: `${path}.image`, message: 'must name an image' });
    } else for (const port of publishedPorts(service.ports)) ports.add(port);
  }
  if (errors.length > 0) return { ok: false, errors };
  return { ok: true, ports: [...ports].sort((a, b) => a - b) };
}

/**
 * Reads tokens only, without recursion, and says why a full parse would be unwise. Needed before it: deep nesting
 * exhausts the parser's stack, which Node can turn into the end of the process, and its duplicate-key and error
 * bookkeeping is quadratic.
 */
function excessOf(text: string): string | undefined {
  let tokens = 0;
  let flowDepth = 0;
  let blockDepth = 0;
  let scalarFollows = false;
  for (const token of new Lexer().lex(text)) {
    if (++tokens > MAX_TOKENS) return `is too complex: more than ${MAX_TOKENS} YAML tokens`;
    if (scalarFollows) {
      scalarFollows = false;
      continue;
    }
    if (token === SCALAR_MARK) scalarFollows = true;
    else if (token === '[' || token === '{') flowDepth += 1;
    else if (token === ']' || token === '}') flowDepth = Math.max(0, flowDepth - 1);
    else if (token === '-' || token === '?') blockDepth += 1;
    else if (token.includes('\n')) blockDepth = 0;
    if (flowDepth + blockDepth > MAX_DEPTH) return `must not nest deeper than ${MAX_DEPTH} levels`;
  }
  return undefined;
}

/** Published TCP ports of a `ports` list: "8080:80", "127.0.0.1:8080:80/tcp", "8000-8003:80-83", or the long form. */
function publishedPorts(ports: unknown): number[] {
  if (!Array.isArray(ports)) return [];
  return ports.flatMap((entry: unknown) => {
    if (isMapping(entry)) {
      if (entry.protocol !== undefined && entry.protocol !== 'tcp') return [];
      return portRange(String(entry.published ?? entry.target ?? ''));
    }
    const match = /^(?:(?:\[[^\]]*\]|\d+(?:\.\d+){3}):)?(?:([\d-]+):)?([\d-]+)(?:\/(tcp|udp|sctp))?$/.exec(
      String(entry),
    );
    if (match === null || (match[3] ?? 'tcp') !== 'tcp') return [];
    return portRange(match[1] ?? match[2] ?? '');
  });
}

function portRange(text: string): number[] {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text);
  if (match === null) return [];
  const first = Number(match[1]);
  const last = Number(match[2] ?? match[1]);
  if (first < 1 || last > 65_535 || last < first || last - first > 31) return [];
  return Array.from({ length: last - first + 1 }, (_, offset) => first + offset);
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function firstLine(message: string): string {
  return message.split('\n', 1)[0]?.replace(/:$/, '') ?? message;
}
