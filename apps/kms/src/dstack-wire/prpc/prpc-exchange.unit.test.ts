import { describe, expect, it } from 'vitest';
import { AppId, PrpcErrorMessage } from './kms-messages.js';
import { decodeProtobuf, encodeProtobuf } from './protobuf-codec.js';
import { PrpcError } from './prpc-error.js';
import { exchange, type PrpcRequest } from './prpc-exchange.js';
import { type Method, method } from './prpc-service.js';

const secret = new Uint8Array(4);
const service = new Map<string, Method<string>>([
  [
    'Echo',
    method({
      ...{ service: 'KMS', input: AppId, output: AppId },
      async call({ app_id }, caller: string) {
        if (caller === 'refused') throw new PrpcError('Boot denied: no');
        if (caller === 'broken') throw new TypeError('a secret of the house');
        if (caller === 'away') throw Object.assign(new Error('a secret of the house'), { retryable: true });
        secret.set(app_id);
        return { value: { app_id: secret }, secrets: [secret] };
      },
    }),
  ],
]);
const input = { app_id: Uint8Array.of(1, 2, 3, 4) };
const json = Buffer.from('{"app_id":"01020304"}');
const binary = encodeProtobuf(AppId, input);

async function ask(change: Partial<PrpcRequest<string>> & { readonly who?: string; readonly sent?: Uint8Array }) {
  const { who = 'caller', sent = binary, ...rest } = change;
  const unexpected: unknown[] = [];
  const base = { path: 'Echo', verb: 'POST', query: '', contentType: undefined } as const;
  const request = { ...base, body: async () => sent, caller: async () => who, ...rest };
  const response = await exchange(service, request, (error) => unexpected.push(error));
  return { ...response, text: Buffer.from(response.body).toString(), unexpected };
}

describe('the encoding of an exchange', () => {
  it('is protobuf unless JSON is asked for', async () => {
    const answer = await ask({});
    expect(answer).toMatchObject({ status: 200, contentType: 'application/octet-stream', method: 'Echo' });
    expect(decodeProtobuf(AppId, answer.body)).toEqual(input);
  });

  it.each([
    ['?json', { query: 'json' }],
    ['?json=1', { query: 'a=b&json=1' }],
    ['?json=true', { query: 'json=true' }],
    ['?json=', { query: 'json=' }],
    ['a JSON body', { contentType: 'application/json' }],
    ['a JSON body with a charset', { contentType: 'Application/JSON; charset=utf-8' }],
  ])('is JSON with %s', async (_what, change) => {
    const answer = await ask({ ...change, sent: json });
    expect(answer).toMatchObject({ status: 200, contentType: 'application/json', text: '{"app_id":"01020304"}' });
  });

  it.each(['json=false', 'json=0', 'jsonp', 'notjson'])('is not JSON with ?%s', async (query) => {
    expect((await ask({ query })).contentType).toBe('application/octet-stream');
  });

  it('is JSON for GET, whose query is the payload, escaped or not', async () => {
    for (const query of ['{"app_id":"01020304"}', encodeURIComponent('{"app_id":"01020304"}')]) {
      expect(await ask({ verb: 'GET', query })).toMatchObject({ status: 200, text: '{"app_id":"01020304"}' });
    }
    expect(await ask({ verb: 'GET', query: '%' })).toMatchObject({ status: 400, contentType: 'application/json' });
    expect(await ask({ verb: 'GET', query: '' })).toMatchObject({ status: 400 });
  });

  it('overwrites secrets once they are written out', async () => {
    await ask({});
    expect([...secret]).toEqual([0, 0, 0, 0]);
  });
});

describe('the method', () => {
  it('may have its own service in front, not another', async () => {
    expect((await ask({ path: 'KMS.Echo' })).status).toBe(200);
    for (const path of ['Admin.Echo', 'KMS.KMS.Echo', 'echo', '', 'toString']) {
      expect(await ask({ path })).toMatchObject({ status: 400, method: undefined });
    }
  });
});

describe('an error', () => {
  const errorOf = (body: Uint8Array) => decodeProtobuf(PrpcErrorMessage, body).message;

  it('is HTTP 400 in the encoding of the exchange', async () => {
    const refused = await ask({ who: 'refused' });
    expect([refused.status, errorOf(refused.body)]).toEqual([400, 'Boot denied: no']);
    const asJson = await ask({ who: 'refused', contentType: 'application/json', sent: json });
    expect(asJson).toMatchObject({ status: 400, text: '{"error":"Boot denied: no"}', unexpected: [] });
  });

  it('before dispatch goes by GET and ?json alone', async () => {
    const caller = async (): Promise<string> => {
      throw new PrpcError('invalid quote');
    };
    const body = async (): Promise<Uint8Array> => {
      throw new PrpcError('failed to read data: payload too large');
    };
    for (const early of [{ caller }, { body }]) {
      expect((await ask({ ...early, contentType: 'application/json' })).contentType).toBe('application/octet-stream');
      expect((await ask({ ...early, query: 'json' })).contentType).toBe('application/json');
    }
    // The caller is known before the body is read.
    const order: string[] = [];
    await ask({
      caller: async () => order.push('caller').toString(),
      body: async () => {
        order.push('body');
        return binary;
      },
    });
    expect(order).toEqual(['caller', 'body']);
  });

  it('that nobody expected tells the client nothing of the house', async () => {
    const broken = await ask({ who: 'broken', query: 'json', sent: json });
    expect(broken).toMatchObject({ status: 400, text: '{"error":"internal error: nothing was released"}' });
    expect(broken.unexpected).toHaveLength(1);
    const away = await ask({ who: 'away', query: 'json', sent: json });
    expect(away.text).toMatch(/nothing was released, try again/);
    expect(away.text + broken.text).not.toContain('secret');
  });

  it('names the field that is wrong', async () => {
    expect((await ask({ query: 'json', sent: Buffer.from('{"app_id":7}') })).text).toMatch(
      /AppId\.app_id: must be hex/,
    );
    expect((await ask({ sent: Buffer.from('{"app_id":"01"}') })).status).toBe(400);
  });
});
