import { describe, expect, it } from 'vitest';
import { type ParsedQuote, parseQuote } from '../abi/index.js';
import { fromHex } from '../bytes.js';
import { TEST_FROM, TEST_NOW, TEST_UNTIL, TestPlatform } from '../testing/test-platform.js';
import { verifyParsedQuote } from '../verify/index.js';
import { CollateralClient } from './collateral-client.js';
import { CollateralUnavailableError } from './collateral-unavailable-error.js';
import { exactMember } from './exact-member.js';
import type { QuoteCollateralV3 } from './quote-collateral.js';

const platform = new TestPlatform();
const genuine = platform.collateral();

function quote(): ParsedQuote {
  const parsed = parseQuote(platform.quote());
  if (!parsed.ok) throw new Error(parsed.failed.detail);
  return parsed.quote;
}

/** A PCCS that answers from a collateral set, remembers what it was asked, and can be told to fail. */
class FakePccs {
  readonly asked: string[] = [];
  status = 200;
  crlAsHex = false;
  collateral: QuoteCollateralV3 = genuine;

  readonly fetch: typeof globalThis.fetch = async (input) => {
    const url = new URL(String(input));
    this.asked.push(`${url.pathname}${url.search}`);
    if (this.status === 0) throw new TypeError('fetch failed');
    if (this.status !== 200) return new Response('no', { status: this.status });
    const [body, header, chain] = this.answer(url.pathname);
    return new Response(body as string, { headers: header === '' ? {} : { [header]: encodeURIComponent(chain) } });
  };

  private answer(path: string): readonly [string | Uint8Array, string, string] {
    const c = this.collateral;
    const crl = (hex: string): string | Uint8Array => (this.crlAsHex ? hex : (fromHex(hex) ?? ''));
    if (path.endsWith('/tcb')) {
      return [
        `{"tcbInfo":${c.tcb_info},"signature":"${c.tcb_info_signature}"}`,
        'TCB-Info-Issuer-Chain',
        c.tcb_info_issuer_chain,
      ];
    }
    if (path.endsWith('/qe/identity')) {
      const body = `{"enclaveIdentity":${c.qe_identity},"signature":"${c.qe_identity_signature}"}`;
      return [body, 'SGX-Enclave-Identity-Issuer-Chain', c.qe_identity_issuer_chain];
    }
    if (path.endsWith('/pckcrl')) return [crl(c.pck_crl), 'SGX-PCK-CRL-Issuer-Chain', c.pck_crl_issuer_chain];
    return [crl(c.root_ca_crl), '', ''];
  }
}

function client(pccs: FakePccs, clock: { now: Date }, maxAgeMs?: number): CollateralClient {
  const options = { baseUrl: 'http://pccs.test/base/', now: () => clock.now, fetch: pccs.fetch };
  return new CollateralClient(maxAgeMs === undefined ? options : { ...options, maxAgeMs });
}

describe('CollateralClient', () => {
  it.each([false, true])('gets the exact bytes (CRLs as hex: %s) and they verify', async (crlAsHex) => {
    const pccs = new FakePccs();
    pccs.crlAsHex = crlAsHex;
    const collateral = await client(pccs, { now: TEST_NOW }).collateralFor(quote());
    expect(collateral).toEqual(genuine);
    expect(verifyParsedQuote(quote(), collateral, { now: TEST_NOW, trustAnchors: [platform.trustAnchor] }).ok).toBe(
      true,
    );
    expect(pccs.asked.toSorted()).toEqual([
      '/base/sgx/certification/v4/pckcrl?ca=platform&encoding=der',
      '/base/sgx/certification/v4/rootcacrl',
      '/base/tdx/certification/v4/qe/identity',
      '/base/tdx/certification/v4/tcb?fmspc=00a06f050000',
    ]);
  });

  it('asks once for many quotes of one platform, also at the same time', async () => {
    const pccs = new FakePccs();
    const asking = client(pccs, { now: TEST_NOW });
    await Promise.all([asking.collateralFor(quote()), asking.collateralFor(quote())]);
    await asking.collateralFor(quote());
    expect(pccs.asked).toHaveLength(4);
  });

  it('asks again when the answer is old, past its window, from the future, or forgotten', async () => {
    const pccs = new FakePccs();
    const clock = { now: TEST_NOW };
    const asking = client(pccs, clock, 10_000_000_000);
    const count = async (): Promise<number> => {
      pccs.asked.length = 0;
      await asking.collateralFor(quote());
      return pccs.asked.length;
    };
    expect(await count()).toBe(4);
    expect(await count()).toBe(0);
    asking.forget(quote());
    expect(await count()).toBe(4);
    clock.now = TEST_FROM;
    expect(await count()).toBe(4);
    clock.now = TEST_UNTIL;
    expect(await count()).toBe(0);
    clock.now = new Date(TEST_UNTIL.getTime() + 1000);
    expect(await count()).toBe(4);
    const young = client(pccs, clock, 1000);
    clock.now = TEST_NOW;
    await young.collateralFor(quote());
    pccs.asked.length = 0;
    clock.now = new Date(TEST_NOW.getTime() + 1000);
    await young.collateralFor(quote());
    expect(pccs.asked).toHaveLength(4);
  });

  it.each([
    [0, true],
    [404, false],
    [429, true],
    [503, true],
  ])('status %i is unavailable, retryable: %s, and is not kept', async (status, retryable) => {
    const pccs = new FakePccs();
    pccs.status = status;
    const asking = client(pccs, { now: TEST_NOW });
    const failure = asking.collateralFor(quote());
    await expect(failure).rejects.toThrow(CollateralUnavailableError);
    await expect(failure).rejects.toMatchObject({ code: 'COLLATERAL_UNAVAILABLE', retryable });
    pccs.status = 200;
    expect(await asking.collateralFor(quote())).toEqual(genuine);
  });

  it('refuses malformed answers without keeping them', async () => {
    const pccs = new FakePccs();
    pccs.collateral = { ...genuine, tcb_info: '{"id":"TDX"}' };
    await expect(client(pccs, { now: TEST_NOW }).collateralFor(quote())).rejects.toMatchObject({ retryable: false });
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
