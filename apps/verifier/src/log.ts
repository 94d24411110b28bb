/** Structured log lines, one JSON object each, in the shape the other services use. */
export interface Log {
  info(msg: string, fields?: LogFields): void;
  error(msg: string, fields?: LogFields): void;
}
type LogFields = Readonly<Record<string, unknown>>;

const LEVELS = { info: 30, error: 50 } as const;

/** Writes to stdout. An Error among the fields becomes its name, code and message; never its properties. */
export function jsonLog(write: (line: string) => void): Log {
  const line =
    (level: keyof typeof LEVELS) =>
    (msg: string, fields: LogFields = {}) => {
      const safe = Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, plain(value)]));
      write(`${JSON.stringify({ level: LEVELS[level], time: Date.now(), service: 'verifier', ...safe, msg })}\n`);
    };
  return { info: line('info'), error: line('error') };
}

function plain(value: unknown): unknown {
  if (!(value instanceof Error)) return value;
  return { name: value.name, message: value.message, ...('code' in value ? { code: value.code } : {}) };
}
