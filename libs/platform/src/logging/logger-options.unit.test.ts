import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { loggerOptions } from './logger-options.js';

function logged(fields: object): string {
  const lines: string[] = [];
  const options = loggerOptions('kms', '', 'info').pinoHttp as Parameters<typeof pino>[0];
  pino(options as object, { write: (line: string) => void lines.push(line) }).info(fields, 'a message');
  return lines.join('');
}

describe('logging', () => {
  test.each([
    ['a password', { password: 'hunter2' }],
    ['a seed below a settings object', { settings: { seed: 'hunter2' } }],
    ['a key two levels down', { grant: { payload: { diskCryptKey: 'hunter2' } } }],
    ['an authorization header', { req: { method: 'GET', url: '/x', headers: { authorization: 'Bearer hunter2' } } }],
    ['a token in a query', { req: { method: 'GET', url: '/x?token=hunter2', headers: {} } }],
    ['a cookie', { req: { method: 'GET', url: '/x', headers: { cookie: 'a=hunter2' } } }],
  ])('%s does not reach the log', (_name, fields) => {
    expect(logged(fields)).not.toContain('hunter2');
  });

  test('what is no secret does, as one JSON line with service, level name and time', () => {
    const line = JSON.parse(logged({ instanceId: 'abc' })) as Record<string, unknown>;
    expect(line).toMatchObject({ service: 'kms', level: 'info', msg: 'a message', instanceId: 'abc' });
    expect(line.time).toMatch(/^\d{4}-\d\d-\d\dT/);
  });
});
