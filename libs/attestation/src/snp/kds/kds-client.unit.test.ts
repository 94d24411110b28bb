import { describe, expect, it } from 'vitest';
import { EndpointFault } from '../../collateral/collateral-unavailable-error.js';
import type { FetchDocument } from '../../collateral/fetch-document.js';
import { toPem } from '../../testing/test-pki.js';
import {
  CHIP_ID,
  newRsaPair,
  SIGNED_WITH_VLEK,
  SNP_NOW,
  type SnpReportShape,
  TestSnpPlatform,
  vekExtensions,
} from '../../testing/test-snp-platform.js';
import { parseSnpReport } from '../parse-report.js';
import type { ParsedSnpReport } from '../parsed-report.js';
import { verifySnpReport } from '../verify-report.js';
import { KdsClient, type KdsClientOptions } from './kds-client.js';
import { kdsChainUrl, kdsRevocationListUrl, kdsVcekUrl } from './urls.js';

const platform = new TestSnpPlatform();
const stranger = new TestSnpPlatform(newRsaPair(), platform.signerPair);

function report(shape: SnpReportShape = {}): ParsedSnpReport {
  const parsed = parseSnpReport(platform.report(shape));
  if (!parsed.ok) throw new Error(parsed.failed.detail);
  return parsed.report;
}

/** A key distribution service in memory; `answers` replaces one by the end of its path. */
class FakeKds {
  readonly asked: string[] = [];
  readonly answers = new Map<string, Uint8Array | EndpointFault>();
  readonly down = new Set<string>();

  constructor(private readonly of: TestSnpPlatform = platform) {}

  readonly fetchDocument: FetchDocument = async (url) => {
    this.asked.push(url.href);
    if (this.down.has(url.host)) throw new EndpointFault('UNREACHABLE', 'cannot be reached', true);
    const leaf = url.pathname.split('/').at(-1) ?? '';
    const answer = this.answers.get(leaf) ?? this.genuine(url.pathname);
    if (answer instanceof EndpointFault) throw answer;
    return { body: answer, headers: {} };
  };

  private genuine(path: string): Uint8Array | EndpointFault {
    const [, kind, , product, leaf] = path.split('/');
    if (product !== 'Milan') return new EndpointFault('HTTP_STATUS', 'answered HTTP 404', false);
    if (leaf === 'crl') return this.of.revocationList();
    const signer = kind === 'vlek' ? this.of.asvkDer : this.of.askDer;
    return leaf === 'cert_chain' ? Buffer.from(toPem(signer, this.of.arkDer)) : this.of.vcekDer;
  }
}

function client(kds: FakeKds, options: Partial<KdsClientOptions> = {}): KdsClient {
  return new KdsClient({
    endpoints: [{ url: 'https://kds.example' }],
    now: () => SNP_NOW,
    trustAnchors: [platform.trustAnchor],
    fetchDocument: kds.fetchDocument,
    ...options,
  });
}

describe('key distribution URLs', () => {
  const tcb = { fmc: null, bootloader: 4, tee: 0, snp: 23, microcode: 213 };
  const hex = Buffer.from(CHIP_ID).toString('hex');

  it.each([
    ['https://kdsintf.amd.com', 'https://kdsintf.amd.com'],
    ['https://kdsintf.amd.com/vcek/v1', 'https://kdsintf.amd.com'],
    ['https://mirror.example/kds/', 'https://mirror.example/kds'],
  ])('under %s', (base, root) => {
    expect(kdsVcekUrl(base, { product: 'Milan', chipId: CHIP_ID, tcb }).href).toBe(
      `${root}/vcek/v1/Milan/${hex}?blSPL=4&teeSPL=0&snpSPL=23&ucodeSPL=213`,
    );
    expect(kdsChainUrl(base, 'VCEK', 'Genoa').href).toBe(`${root}/vcek/v1/Genoa/cert_chain`);
    expect(kdsRevocationListUrl(base, 'VLEK', 'Turin').href).toBe(`${root}/vlek/v1/Turin/crl`);
  });

  it('Turin: 8 bytes of chip id, and the FMC level first', () => {
    expect(kdsVcekUrl('https://k', { product: 'Turin', chipId: CHIP_ID, tcb: { ...tcb, fmc: 2 } }).href).toBe(
      `https://k/vcek/v1/Turin/${hex.slice(0, 16)}?fmcSPL=2&blSPL=4&teeSPL=0&snpSPL=23&ucodeSPL=213`,
    );
  });
});

describe('KdsClient', () => {
  it('gets what verification needs, once for all who ask at the same time and later', async () => {
    const kds = new FakeKds();
    const get = client(kds);
    const [first] = await Promise.all([get.collateralFor(report()), get.collateralFor(report())]);
    expect(await get.collateralFor(report())).toEqual(first);
    expect(kds.asked).toHaveLength(3);
    const options = { now: SNP_NOW, trustAnchors: [platform.trustAnchor] };
    expect(verifySnpReport(report(), first, options)).toMatchObject({ ok: true, report: { revocationChecked: true } });
  });

  it('a version 2 report: the product line that knows the chip', async () => {
    const kds = new FakeKds();
    expect((await client(kds).collateralFor(report({ version: 2 }))).certificates).toHaveLength(2);
  });

  it('certificates of the evidence are kept, and only the CRL is asked for', async () => {
    const kds = new FakeKds();
    const certificates = [platform.vlekDer, platform.asvkDer];
    const shape = { fields: { keyInfo: SIGNED_WITH_VLEK }, signer: platform.vlek };
    const collateral = await client(kds).collateralFor(report(shape), certificates);
    expect(collateral.certificates).toBe(certificates);
    expect(kds.asked.every((url) => url.includes('/vlek/v1/Milan/'))).toBe(true);
    await expect(client(kds).collateralFor(report(shape))).rejects.toMatchObject({ retryable: false });
    await expect(client(kds).collateralFor(report(), [new Uint8Array(3)])).rejects.toMatchObject({ retryable: false });
  });

  const two = [{ url: 'https://down.example' }, { url: 'https://kds.example' }];

  it('fails over, and says what was wrong with each when none helps', async () => {
    const kds = new FakeKds();
    kds.down.add('down.example');
    expect((await client(kds, { endpoints: two }).collateralFor(report())).certificates).toHaveLength(2);
    kds.down.add('kds.example');
    await expect(client(kds, { endpoints: two }).collateralFor(report())).rejects.toMatchObject({
      code: 'COLLATERAL_UNAVAILABLE',
      retryable: true,
      endpoints: [
        { endpoint: 'https://down.example', code: 'UNREACHABLE' },
        { endpoint: 'https://kds.example', code: 'UNREACHABLE' },
      ],
    });
  });

  const otherChip = platform.endorsement({ extensions: vekExtensions('Milan-B0', [4, 1, 22, 213]) });
  it.each<[string, string, Uint8Array]>([
    ['a chain of another root', 'cert_chain', Buffer.from(toPem(stranger.askDer, stranger.arkDer))],
    ['a chain without its root', 'cert_chain', Buffer.from(toPem(platform.askDer))],
    ['a chain that is none', 'cert_chain', Buffer.from('not found')],
    ['a CRL of another root', 'crl', stranger.revocationList()],
    ['a CRL that is none', 'crl', new Uint8Array(5)],
    ['a key for other levels', Buffer.from(CHIP_ID).toString('hex'), otherChip],
    ['a key of another signing key', Buffer.from(CHIP_ID).toString('hex'), platform.vlekDer],
  ])('%s does not count', async (_what, leaf, answer) => {
    const kds = new FakeKds();
    kds.answers.set(leaf, answer);
    const get = client(kds);
    await expect(get.collateralFor(report())).rejects.toMatchObject({
      retryable: true,
      endpoints: [{ code: 'NOT_AUTHENTIC' }],
    });
    kds.answers.clear();
    expect((await get.collateralFor(report())).certificates).toHaveLength(2);
  });

  it('asks for an old CRL again; while nobody answers the kept one serves to its end, and not beyond', async () => {
    const kds = new FakeKds();
    let now = SNP_NOW;
    const get = client(kds, { now: () => now });
    await get.collateralFor(report());
    now = new Date(SNP_NOW.getTime() + 3_600_000);
    await get.collateralFor(report());
    expect(kds.asked).toHaveLength(5);
    kds.down.add('kds.example');
    now = new Date('2026-02-01T00:00:00Z');
    expect((await get.collateralFor(report())).revocationList).toBeDefined();
    now = new Date('2026-02-01T00:00:01Z');
    await expect(get.collateralFor(report())).rejects.toMatchObject({ code: 'COLLATERAL_UNAVAILABLE' });
  });

  it('a chip nobody knows: the answers of all product lines, not worth asking again', async () => {
    const kds = new FakeKds();
    kds.answers.set(Buffer.from(CHIP_ID).toString('hex'), new EndpointFault('HTTP_STATUS', 'answered HTTP 404', false));
    const failure = client(kds).collateralFor(report({ version: 2 }));
    await expect(failure).rejects.toMatchObject({ retryable: false, endpoints: [{}, {}] });
  });

  it('refuses endpoints that cannot be trusted with TLS', () => {
    expect(() => client(new FakeKds(), { endpoints: [{ url: 'http://kds.example' }] })).toThrow('plain http');
  });
});
