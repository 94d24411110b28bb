import { describe, expect, it } from 'vitest';
import { readHostName } from './host-name.js';

const BASE = 'apps.example.test';
const id = 'ab'.repeat(20);
const accepted = (port: number, mode: string, of = id) => ({ ok: true, request: { id: of, port, mode } });

describe('server name grammar', () => {
  it.each([
    [`${id}.${BASE}`, accepted(80, 'terminate')],
    [`${id}-8080.${BASE}`, accepted(8080, 'terminate')],
    [`${id}-s.${BASE}`, accepted(443, 'passthrough')],
    [`${id}-443s.${BASE}`, accepted(443, 'passthrough')],
    [`${id}-8443s.${BASE}`, accepted(8443, 'passthrough')],
    [`${id}-g.${BASE}`, accepted(80, 'terminate-h2')],
    [`${id}-50051g.${BASE}`, accepted(50_051, 'terminate-h2')],
    [`${id}-.${BASE}`, accepted(80, 'terminate')],
    [`ids.${BASE}`, accepted(80, 'terminate', 'ids')],
    [`8080s.${BASE}`, accepted(80, 'terminate', '8080s')],
    [`${id}-65535.${BASE}`, accepted(65_535, 'terminate')],
    [`${id}-0080.${BASE}`, accepted(80, 'terminate')],
    [`${id.toUpperCase()}-8443S.Apps.Example.TEST`, accepted(8443, 'passthrough')],
    [`${id}-50051G.${BASE}`, accepted(50_051, 'terminate-h2')],
    [`${id}.${BASE}.`, accepted(80, 'terminate')],
  ])('reads %s', (name, expected) => {
    expect(readHostName(name, BASE)).toEqual(expected);
  });

  it.each([
    [`${id}-sg.${BASE}`, 'name-invalid'],
    [`${id}-gs.${BASE}`, 'name-invalid'],
    [`${id}-80p.${BASE}`, 'name-invalid'],
    [`${id}-s80.${BASE}`, 'name-invalid'],
    [`a-b-c.${BASE}`, 'name-invalid'],
    [`${id}--80.${BASE}`, 'name-invalid'],
    [`-80.${BASE}`, 'name-invalid'],
    [`.${BASE}`, 'name-invalid'],
    [`${id}-0.${BASE}`, 'name-invalid'],
    [`${id}-65536.${BASE}`, 'name-invalid'],
    [`${id}-99999999999999999999.${BASE}`, 'name-invalid'],
    [`${id}-+80.${BASE}`, 'name-invalid'],
    [id, 'name-invalid'],
    ['', 'name-invalid'],
    [BASE, 'domain-unknown'],
    [`a.b.${BASE}`, 'domain-unknown'],
    [`${id}.example.test`, 'domain-unknown'],
    [`${id}.${BASE}..`, 'domain-unknown'],
    [`${id}.x${BASE}`, 'domain-unknown'],
  ])('refuses %j', (name, code) => {
    expect(readHostName(name, BASE)).toEqual({ ok: false, code });
  });
});
