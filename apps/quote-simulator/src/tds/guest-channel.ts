import { z } from 'zod';
import { type Handler, RequestRefusedError } from '../http/json-service.js';
import { parseBody } from './td-definition.js';
import type { Quoter, TrustDomain } from './trust-domain.js';

const extendSchema = z.strictObject({
  rtmr: z.literal(3, 'only RTMR 3 can be extended by a guest'),
  digest: z.string().regex(/^[0-9a-f]{96}$/, '96 lower-case hex digits (SHA-384)'),
});
const quoteSchema = z.strictObject({
  reportData: z.string().regex(/^[0-9a-f]{128}$/, '128 lower-case hex digits (64 bytes)'),
});

/**
 * What a guest can ask of its TD, over the socket in its own folder: `POST /extend {rtmr:3, digest}`,
 * `POST /quote {reportData} -> {quote: base64}`, `GET /boot-log -> TdxEvent[]` of IMR 0-2, `GET /rtmrs`.
 */
export function guestChannel(td: () => TrustDomain, quoter: Quoter): Handler {
  return async (request) => {
    switch (`${request.method} ${request.path}`) {
      case 'POST /extend': {
        const { digest } = parseBody(extendSchema, await request.json());
        await td().extend(Buffer.from(digest, 'hex'));
        return { status: 200, body: { rtMr3: td().registers().rtMr3 } };
      }
      case 'POST /quote': {
        const { reportData } = parseBody(quoteSchema, await request.json());
        const quote = td().quote(quoter, Buffer.from(reportData, 'hex'));
        return { status: 200, body: { quote: Buffer.from(quote).toString('base64') } };
      }
      case 'GET /boot-log':
        return { status: 200, body: td().bootLog() };
      case 'GET /rtmrs':
        return { status: 200, body: td().registers() };
      default:
        throw new RequestRefusedError(404, 'not-found', `${request.method} ${request.path} is not offered`);
    }
  };
}
