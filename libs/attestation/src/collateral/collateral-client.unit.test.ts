import { describe, expect, it } from 'vitest';
import { type ParsedQuote, parseQuote } from '../abi/index.js';
import { fromHex } from '../bytes.js';
import { TEST_FROM, TEST_NOW, TEST_UNTIL, TestPlatform } from '../testing/test-platform.js';
import { CollateralBundle, InvalidBundleError } from './collateral-bundle.js';
import { CollateralClient } from './collateral-client.js';
import { documentUrls, INTEL_PCS, InvalidEndpointError } from './collateral-endpoint.js';
import { CollateralUnavailableError } from './collateral-unavailable-error.js';
import { exactMember } from './exact-member.js';
import type { FetchDocument } from './fetch-document.js';

const platform = new TestPlatform();
const genuine = platform.collateral();
const PLATFORM = { tee: 'tdx', fmspc: '00a06f050000', ca: 'platform' } as const;

function quote(): ParsedQuote {
  const parsed = parseQuote(platform.quote());
  if (!parsed.ok) throw new Error(parsed.failed.detail);
  return parsed.quote;
}

/** Answers from the collateral set and counts. */
class FakeServer {
  readonly asked: string[] = [];
  crlAsHex = false;

  readonly fetch: FetchDocument = async (url) => {
    this.asked.push(`${url.pathname}${url.search}`);
    const [body, header, chain] = this.answer(url.pathname);
    return { body: Buffer.from(body), headers: header === '' ? {} : { [header]: encodeURIComponent(chain) } };
  };

  private answer(path: string): readonly [string | Uint8Array, string, string] {
    const crl = (hex: string): string | Uint8Array => (this.crlAsHex ? hex : (fromHex(hex) ?? ''));
    if (path.endsWith('/tcb')) {
      const body = `{"tcbInfo":${genuine.tcb_info},"signature":"${genuine.tcb_info_signature}"}`;
      return [body, 'tcb-info-issuer-chain', genuine.tcb_info_issuer_chain];
    }
    if (path.endsWith('/qe/identity')) {
      const body = `{"enclaveIdentity":${genuine.qe_identity},"signature":"${genuine.qe_identity_signature}"}`;
      return [body, 'sgx-enclave-identity-issuer-chain', genuine.qe_identity_issuer_chain];
    }
    if (path.endsWith('/pckcrl'))
      return [crl(genuine.pck_crl), 'sgx-pck-crl-issuer-chain', genuine.pck_crl_issuer_chain];
    return [crl(genuine.root_ca_crl), '', ''];
  }
}

function client(server: FakeServer, clock: { now: Date }, maxAgeMs?: number): CollateralClient {
  return new CollateralClient({
    endpoints: [{ url: 'https://pccs.test/base/' }],
    now: () => clock.now,
    trustAnchors: [platform.trustAnchor],
    fetchDocument: server.fetch,
    ...(maxAgeMs === undefined ? {} : { maxAgeMs }),
  });
}

describe('CollateralClient', () => {
  it.each([false, true])('asks the four v4 paths and keeps the exact bytes (CRLs as hex: %s)', async (crlAsHex) => {
    const server = new FakeServer();
    server.crlAsHex = crlAsHex;
    expect(await client(server, { now: TEST_NOW }).collateralFor(quote())).toEqual(genuine);
    expect(server.asked.toSorted()).toEqual([
      '/base/sgx/certification/v4/pckcrl?ca=platform&encoding=der',
      '/base/sgx/certification/v4/rootcacrl',
      '/base/tdx/certification/v4/qe/identity',
      '/base/tdx/certification/v4/tcb?fmspc=00a06f050000',
    ]);
  });

  it('asks once for many quotes of one platform, also at the same time', async () => {
    const server = new FakeServer();
    const asking = client(server, { now: TEST_NOW });
    await Promise.all([asking.collateralFor(quote()), asking.collateralFor(quote())]);
    await asking.collateralFor(quote());
    expect(server.asked).toHaveLength(4);
  });

  it('asks again when the answer is old, from the future, or was refused', async () => {
    const server = new FakeServer();
    const clock = { now: TEST_NOW };
    const asking = client(server, clock);
    const count = async (): Promise<number> => {
      server.asked.length = 0;
      await asking.collateralFor(quote());
      return server.asked.length;
    };
    expect(await count()).toBe(4);
    expect(await count()).toBe(0);
    asking.forget(quote());
    expect(await count()).toBe(4);
    clock.now = TEST_FROM;
    expect(await count()).toBe(4);
    clock.now = new Date(TEST_FROM.getTime() + 3_600_000);
    expect(await count()).toBe(4);
  });

  it('does not use what its windows have left behind, even when the answer is young', async () => {
    const clock = { now: TEST_UNTIL };
    const asking = client(new FakeServer(), clock, 10_000_000_000);
    await asking.collateralFor(quote());
    clock.now = new Date(TEST_UNTIL.getTime() + 1);
    await expect(asking.collateralFor(quote())).rejects.toMatchObject({
      code: 'COLLATERAL_UNAVAILABLE',
      endpoints: [{ code: 'OUT_OF_WINDOW' }],
    });
  });

  it('without an endpoint or a bundle says so', async () => {
    const asking = new CollateralClient({ endpoints: [], now: () => TEST_NOW });
    await expect(asking.collateralFor(quote())).rejects.toThrow(/no endpoint is configured/);
  });

  it("believes Intel's root alone unless told otherwise", async () => {
    const server = new FakeServer();
    const asking = new CollateralClient({
      endpoints: [{ url: 'https://pccs.test' }],
      now: () => TEST_NOW,
      fetchDocument: server.fetch,
    });
    await expect(asking.collateralFor(quote())).rejects.toMatchObject({ endpoints: [{ code: 'NOT_AUTHENTIC' }] });
  });
});

describe('endpoints', () => {
  it("of Intel's service have the root CRL on their own host", () => {
    const urls = documentUrls(INTEL_PCS, PLATFORM, 'early');
    expect(urls.tcb.href).toBe(
      'https://api.trustedservices.intel.com/tdx/certification/v4/tcb?fmspc=00a06f050000&update=early',
    );
    expect(urls.identity.href).toBe(
      'https://api.trustedservices.intel.com/tdx/certification/v4/qe/identity?update=early',
    );
    expect(urls.rootCrl.href).toBe('https://certificates.trustedservices.intel.com/IntelSGXRootCA.der');
  });

  it.each([
    'pccs.example',
    'ftp://pccs.example',
    'http://pccs.example',
    'https://user:secret@pccs.example',
    'https://pccs.example/?a=b',
  ])('%s is refused, without its secret', (url) => {
    const open = () => new CollateralClient({ endpoints: [{ url }], now: () => TEST_NOW });
    expect(open).toThrow(InvalidEndpointError);
    expect(open).not.toThrow(/secret/);
  });

  it.each(['http://127.0.0.1:8081', 'http://localhost:8081', 'http://[::1]:8081'])('%s is on this machine', (url) => {
    expect(() => new CollateralClient({ endpoints: [{ url }], now: () => TEST_NOW })).not.toThrow();
  });

  it('plain http to elsewhere takes its named weakening', () => {
    const endpoint = { url: 'http://pccs.example', unsafePlainHttp: true } as const;
    expect(() => new CollateralClient({ endpoints: [endpoint], now: () => TEST_NOW })).not.toThrow();
  });
});

describe('CollateralBundle', () => {
  const newer = platform.collateral({ tcbInfoExtra: { tcbEvaluationDataNumber: 20 } });

  it('gives the newest of several, and reads what it writes', async () => {
    const bundle = CollateralBundle.fromText(CollateralBundle.toText([genuine, newer, genuine]));
    expect(await bundle.collateralFor(quote())).toEqual(newer);
  });

  it('reads one QuoteCollateralV3, and CRLs as arrays of bytes', async () => {
    const crl = [...(fromHex(genuine.pck_crl) ?? [])];
    expect(await CollateralBundle.fromText(JSON.stringify(genuine)).collateralFor(quote())).toEqual(genuine);
    const bundle = CollateralBundle.fromText(JSON.stringify({ ...genuine, pck_crl: crl }));
    expect(await bundle.collateralFor(quote())).toEqual(genuine);
  });

  it('names what it holds when it lacks a platform', async () => {
    const bundle = CollateralBundle.fromText(JSON.stringify(platform.collateral({ fmspc: '00906ed50000' })));
    const failure = bundle.collateralFor(quote());
    await expect(failure).rejects.toThrow(CollateralUnavailableError);
    await expect(failure).rejects.toMatchObject({ retryable: false, endpoints: [{ code: 'NOT_IN_BUNDLE' }] });
    await expect(failure).rejects.toThrow(/only tdx\/00906ed50000\/platform/);
  });

  it.each([
    '',
    '[]',
    '{}',
    '{"version":2,"collateral":[]}',
    '{"version":1,"collateral":[{}]}',
    '{"version":1,"collateral":{}}',
  ])('refuses %s', (text) => {
    expect(() => CollateralBundle.fromText(text)).toThrow(InvalidBundleError);
  });
});

describe('exactMember', () => {
  it('cuts values out as they stand, whatever stands around them', () => {
    const text = ' {"signature" : "ab" ,\n "tcbInfo": { "a" : [1, "}\\"{", {"tcbInfo":2}],"b":1.50 } , "n":12 } ';
    expect(exactMember(text, 'tcbInfo')).toBe('{ "a" : [1, "}\\"{", {"tcbInfo":2}],"b":1.50 }');
    expect(exactMember(text, 'signature')).toBe('"ab"');
    expect(exactMember(text, 'n')).toBe('12');
  });

  it.each(['{"a":1', '[1]', '{"b":1}', '{"a":1,"a":2}', '{"a":1,"\\u0061":2}', ''])('refuses %s', (text) => {
    expect(() => exactMember(text, 'a')).toThrow(expect.objectContaining({ code: 'COLLATERAL_FORMAT' }));
  });
});
