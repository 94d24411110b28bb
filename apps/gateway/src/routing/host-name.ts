/** How a connection is carried once it is routed. */
type RouteMode = 'terminate' | 'terminate-h2' | 'passthrough';

/** What a server name asks for. */
export interface RouteRequest {
  /** App id or instance id, lower case. */
  readonly id: string;
  /** 1-65535. */
  readonly port: number;
  readonly mode: RouteMode;
}

export type HostNameReading =
  | { readonly ok: true; readonly request: RouteRequest }
  | { readonly ok: false; readonly code: 'name-invalid' | 'domain-unknown' };

const DEFAULT_PORT = 80;
const DEFAULT_PASSTHROUGH_PORT = 443;
/** `[port][s|g]`, both optional. */
const TAIL = /^(\d*)([sg]?)$/;

/**
 * Reads a server name by dstack's grammar (dstack-gateway §4): `<id>[-[port][s|g]].<base domain>`. Without a letter TLS
 * ends here and the default port is 80; `s` passes TLS through (default 443); `g` ends TLS and speaks h2 (default 80).
 * Unlike dstack, letters compare without case, one trailing dot is dropped, and port 0 is refused. `baseDomain` is lower
 * case.
 */
export function readHostName(serverName: string, baseDomain: string): HostNameReading {
  const name = serverName.toLowerCase().replace(/\.$/, '');
  const dot = name.indexOf('.');
  if (dot < 0) return { ok: false, code: 'name-invalid' };
  if (name.slice(dot + 1) !== baseDomain) return { ok: false, code: 'domain-unknown' };
  const [id = '', tail = '', ...more] = name.slice(0, dot).split('-');
  const parts = TAIL.exec(tail);
  if (id === '' || more.length > 0 || parts === null) return { ok: false, code: 'name-invalid' };
  const [, digits = '', letter = ''] = parts;
  const fallback = letter === 's' ? DEFAULT_PASSTHROUGH_PORT : DEFAULT_PORT;
  const port = digits === '' ? fallback : Number(digits);
  if (port < 1 || port > 65_535) return { ok: false, code: 'name-invalid' };
  return { ok: true, request: { id, port, mode: modeOf(letter) } };
}

function modeOf(letter: string): RouteMode {
  if (letter === 's') return 'passthrough';
  return letter === 'g' ? 'terminate-h2' : 'terminate';
}
