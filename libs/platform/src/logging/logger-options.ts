import type { Params } from 'nestjs-pino';

/** Member names whose values never reach a log, at the top of an object or one or two levels down. */
const SECRET_NAMES = [
  'authorization',
  'cookie',
  'password',
  'passphrase',
  'secret',
  'seed',
  'token',
  'privateKey',
  'diskCryptKey',
  'envCryptKey',
  'k256Key',
  'caKey',
  'connectionString',
];

/** Paths for pino's redaction, among them the request and response headers that carry credentials. */
export const redactedPaths: readonly string[] = [
  ...SECRET_NAMES.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]),
  'req.headers.authorization',
  'req.headers.cookie',
  'res.headers["set-cookie"]',
];

/** JSON lines on stdout with service, node and level name; HTTP requests are logged without bodies and queries. */
export function loggerOptions(service: string, node: string, level: string): Params {
  return {
    pinoHttp: {
      level,
      base: { service, ...(node === '' ? {} : { node }) },
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: [...redactedPaths], censor: '[redacted]' },
      serializers: {
        req: (request: { method: string; url: string; id: unknown }) => ({
          id: request.id,
          method: request.method,
          url: request.url.split('?')[0],
        }),
        res: (response: { statusCode: number }) => ({ statusCode: response.statusCode }),
      },
    },
  };
}
