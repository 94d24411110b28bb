import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Guest, GuestStage } from './guest-stage.js';

interface Answer {
  readonly status: number | undefined;
  readonly text: string;
}

describe('dstack.sock, as HTTP clients see it', () => {
  let stage: GuestStage;
  let guest: Guest;

  beforeAll(async () => {
    stage = await GuestStage.open();
    guest = await stage.guest();
    await guest.startHealthy();
  });
  afterAll(async () => {
    await stage.close();
  });

  function call(method: string, path: string, body = '', type = 'application/json'): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const headers = { 'content-type': type };
      const outgoing = request({ socketPath: guest.dstackSocket, method, path, headers }, (answer) => {
        let text = '';
        answer.on('data', (chunk: Buffer) => {
          text += chunk.toString();
        });
        answer.on('end', () => resolve({ status: answer.statusCode, text }));
      });
      outgoing.on('error', reject);
      outgoing.end(body);
    });
  }

  it('takes GET with a query, POST with JSON, and POST with ?json', async () => {
    const asked = await Promise.all([
      call('GET', '/GetKey?path=a%2Fb&purpose=p'),
      call('POST', '/GetKey', '{"path":"a/b","purpose":"p","unknown":1}'),
      call('POST', '/GetKey?json', '{"path":"a/b","purpose":"p"}', 'text/plain'),
    ]);
    expect(new Set(asked.map(({ text }) => text)).size).toBe(1);
    expect(asked.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect((await call('POST', '/Version')).text).toBe('{"version":"0.5.11","rev":"vouch-0.1.0"}');
    expect((await call('GET', '/GetQuote?report_data=0xC0FFEE')).text).toContain(
      `"report_data":"c0ffee${'00'.repeat(61)}"`,
    );
  });

  it.each([
    ['GET', '/Nothing', '', 'Service not found: Nothing'],
    ['POST', '/getkey', '{}', 'Service not found: getkey'],
    ['GET', '/', '', 'Service not found: '],
    ['POST', '/GetKey', '{"algorithm":"rsa"}', 'Unsupported algorithm'],
    ['POST', '/GetKey', '{"algorithm":"secp256k1_prehashed"}', 'Unsupported algorithm'],
    ['POST', '/GetKey', '{"path":1}', 'path must be a string'],
    ['POST', '/GetKey', '[', 'not JSON'],
    ['POST', '/GetKey', '[]', 'not a JSON object'],
    ['POST', '/GetQuote', `{"report_data":"${'00'.repeat(65)}"}`, 'Report data is too long'],
    ['POST', '/GetQuote', '{"report_data":"xyz"}', 'invalid hex: report_data'],
    ['POST', '/Sign', '{"data":"00"}', 'Unsupported algorithm'],
    [
      'POST',
      '/Sign',
      '{"algorithm":"secp256k1_prehashed","data":"00"}',
      'Pre-hashed signing requires a 32-byte digest, but received 1 bytes',
    ],
    ['POST', '/Verify', '{"algorithm":"ed25519","signature":"00"}', 'invalid signature'],
    ['POST', '/GetTlsKey', '{"not_before":20,"not_after":10}', 'not_before must be earlier than not_after'],
    ['POST', '/GetTlsKey', '{"usage_ra_tls":true}', 'usage_ra_tls is not supported'],
    ['POST', '/GetTlsKey', '{"alt_names":["\\u00fc"]}', 'altNames'],
    ['POST', '/EmitEvent', '{"event":"a"}', 'EmitEvent removed'],
  ])('%s %s %s is refused: %s', async (method, path, body, reason) => {
    const { status, text } = await call(method, path, body);
    expect(status).toBe(400);
    const { error } = JSON.parse(text) as { error: string };
    expect(error).toContain(reason);
    expect(text).toBe(JSON.stringify({ error }, null, 2));
  });

  it('refuses protobuf by name instead of misreading it', async () => {
    const { status, text } = await call('POST', '/GetKey', '\u0001', 'application/octet-stream');
    expect(status).toBe(400);
    expect(text).toContain('protobuf mode is not supported');
  });

  it('does not give a certificate that the host made up', async () => {
    const { certify } = guest.host;
    const foreign = await stage.guest();
    await foreign.startHealthy();
    guest.host.certify = (asked) => {
      const chain = certify(asked);
      // Another guest's leaf under the same CA: a chain in order, for a key this app does not hold.
      const previous = earlier;
      earlier = chain;
      return previous ?? chain;
    };
    let earlier: string[] | undefined;
    expect((await call('POST', '/GetTlsKey', '{}')).status).toBe(200);
    const { status, text } = await call('POST', '/GetTlsKey', '{}');
    expect(status).toBe(400);
    expect(text).toContain('the leaf is for another key');
    guest.host.certify = (asked) => certify(asked)?.slice(0, 2);
    expect((await call('POST', '/GetTlsKey', '{}')).text).toMatch(/chain is broken|does not end at the KMS root/);
    guest.host.certify = () => undefined;
    expect((await call('POST', '/GetTlsKey', '{}')).text).toContain('request-refused');
  });

  it('answers with a body that is as long as its header says, in any counting', async () => {
    const { text } = await call('GET', '/Info');
    expect(/^[\x20-\x7e]*$/.test(text)).toBe(true);
  });
});
