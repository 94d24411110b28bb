import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { toHex } from '../bytes.js';
import { CollateralBundle } from '../collateral/collateral-bundle.js';
import { type Examination, examineEvidence, osImageRule, readEvidence } from '../evidence/index.js';
import { ImageGuest, type TarEntry, tar } from '../testing/image-guest.js';
import { TEST_NOW, TestPlatform } from '../testing/test-platform.js';
import { InvalidImageUrlError, OsImageDownloader } from './os-image-downloader.js';
import { readImageArchive } from './read-image-archive.js';
import { tarFiles } from './tar-files.js';

const guest = new ImageGuest();
const platform = new TestPlatform();
const genuine = guest.archive();

let folder: string;
let server: Server;
let answer: { status: number; body: Uint8Array };
let asked: string[];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'vouch-image-'));
  server = createServer((request, response) => {
    asked.push(request.url ?? '');
    response.writeHead(answer.status).end(answer.body);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
});

afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

beforeEach(() => {
  answer = { status: 200, body: genuine };
  asked = [];
});

function downloader(cacheFolder?: string): OsImageDownloader {
  const { port } = server.address() as AddressInfo;
  const urlTemplate = `http://127.0.0.1:${port}/mr_{OS_IMAGE_HASH}.tar.gz`;
  return new OsImageDownloader({ urlTemplate, ...(cacheFolder === undefined ? {} : { cacheFolder }) });
}

const without = (name: string): readonly TarEntry[] =>
  [
    ...guest.files,
    { name: 'measurement.tdx.cbor', content: guest.document },
    { name: 'sha256sum.txt', content: guest.checksumFile },
  ].filter((entry) => entry.name !== name);

describe('an image archive', () => {
  it('gives the measured files and what the metadata says', async () => {
    expect(await readImageArchive(genuine, guest.osImageHash)).toEqual({
      image: {
        firmware: Buffer.from(guest.image.firmware),
        kernel: Buffer.from(guest.image.kernel),
        initrd: Buffer.from(guest.image.initrd),
        commandLine: guest.image.commandLine,
      },
      version: '0.6.0',
      isDev: false,
    });
  });

  it.each<[string, () => Uint8Array, RegExp]>([
    [
      'a changed file',
      () => guest.archive([{ name: 'bzImage', content: new Uint8Array(9) }, ...without('bzImage')]),
      /bzImage is not the file/,
    ],
    ['a file that is missing', () => guest.archive(without('ovmf.fd')), /lacks ovmf\.fd/],
    ['no checksum file', () => guest.archive(without('sha256sum.txt')), /no sha256sum\.txt/],
    [
      'another checksum file',
      () => guest.archive([...without('sha256sum.txt'), { name: 'sha256sum.txt', content: Buffer.from('') }]),
      /OS image hash is/,
    ],
    [
      'a file that stands twice',
      () => guest.archive([...without(''), { name: 'bzImage', content: new Uint8Array() }]),
      /stands twice/,
    ],
    ['a link', () => guest.archive([{ name: 'x', type: '2' }, ...without('')]), /link or device/],
    ['no gzip', () => tar(guest.files), /cannot be unpacked/],
    ['a cut archive', () => genuine.subarray(0, 200), /cannot be unpacked/],
  ])('with %s is refused', async (_what, archive, reason) => {
    await expect(readImageArchive(archive(), guest.osImageHash)).rejects.toThrow(reason);
  });

  it('ignores what is not listed, and files in folders', async () => {
    const extra = [
      { name: 'rootfs.img', content: new Uint8Array(3) },
      { name: 'dir/', type: '5' },
      { name: 'dir/bzImage' },
    ];
    const image = await readImageArchive(guest.archive([...extra, ...without('')]), guest.osImageHash);
    expect(image.version).toBe('0.6.0');
  });

  it('has a bounded number of entries and honest sizes', () => {
    expect(() => tarFiles(tar(Array.from({ length: 1100 }, (_, i) => ({ name: `f${i}` }))))).toThrow(/more than 1024/);
    const lying = Buffer.from(tar([{ name: 'a', content: new Uint8Array(10) }]));
    lying.write('77777777777', 124, 'latin1');
    expect(() => tarFiles(lying)).toThrow(/cut off/);
  });
});

describe('OsImageDownloader', () => {
  it('downloads an image once, by its hash, and keeps it over restarts', async () => {
    const cache = join(folder, 'cache');
    const source = downloader(cache);
    await Promise.all([source.imageFor(guest.osImageHash), source.imageFor(guest.osImageHash)]);
    expect(asked).toEqual([`/mr_${guest.osImageHash}.tar.gz`]);
    expect(readdirSync(cache)).toEqual([`mr_${guest.osImageHash}.tar.gz`]);
    await downloader(cache).imageFor(guest.osImageHash);
    expect(asked).toHaveLength(1);
    writeFileSync(join(cache, `mr_${guest.osImageHash}.tar.gz`), 'damaged');
    await downloader(cache).imageFor(guest.osImageHash);
    expect(asked).toHaveLength(2);
  });

  it('refuses another image under this name, and says what did not answer', async () => {
    answer = { status: 200, body: guest.archive(without('ovmf.fd')) };
    await expect(downloader().imageFor(guest.osImageHash)).rejects.toMatchObject({
      code: 'OS_IMAGE_UNAVAILABLE',
      retryable: true,
    });
    answer = { status: 404, body: Buffer.from('no') };
    await expect(downloader().imageFor(guest.osImageHash)).rejects.toMatchObject({
      retryable: false,
      message: expect.stringMatching(/HTTP 404/),
    });
  });

  it.each(['https://images.example/image.tar.gz', 'http://images.example/{OS_IMAGE_HASH}', 'nowhere/{OS_IMAGE_HASH}'])(
    'refuses the template %s',
    (urlTemplate) => {
      expect(() => new OsImageDownloader({ urlTemplate })).toThrow(InvalidImageUrlError);
    },
  );
});

describe('osImageRule in an examination', () => {
  const { mrTd, rtMrs, events } = guest.boot();

  async function examine(vmConfig: string, source?: OsImageDownloader, changedMrTd = mrTd): Promise<Examination> {
    const quote = toHex(platform.quote({ mrTd: changedMrTd, rtMrs }));
    const read = readEvidence(Buffer.from(JSON.stringify({ quote, event_log: events, vm_config: vmConfig })));
    if (!read.ok) throw new Error(read.failed.detail);
    return examineEvidence(read.value, {
      collateral: CollateralBundle.fromText(JSON.stringify(platform.collateral())),
      now: TEST_NOW,
      trustAnchors: [platform.trustAnchor],
      policy: { unsafeTrustAnchorAccepted: true },
      osImage: osImageRule(source),
    });
  }

  const outcome = ({ checks }: Examination) => checks.find(({ name }) => name === 'os-image.measurement');

  it('judges an image by the measurement document in vm_config, without a network', async () => {
    const examination = await examine(guest.vmConfig(true), downloader());
    expect(outcome(examination)?.outcome).toBe('pass');
    expect(examination.facts.osImage).toMatchObject({ osImageHash: guest.osImageHash, acpiJudged: false });
    expect(examination.checks.find(({ name }) => name === 'tdx-image.acpi')?.outcome).toBe('skipped');
    expect(asked).toEqual([]);
  });

  it('judges an image by its files, and knows its version', async () => {
    const examination = await examine(guest.vmConfig(false), downloader());
    expect(outcome(examination)?.outcome).toBe('pass');
    expect(examination.facts.osImage).toMatchObject({ osImageHash: guest.osImageHash, version: '0.6.0', isDev: false });
  });

  it.each([true, false])('refuses another boot than the image gives (measurement in vm_config: %s)', async (lite) => {
    const examination = await examine(guest.vmConfig(lite), downloader(), new Uint8Array(48));
    expect(outcome(examination)).toMatchObject({
      outcome: 'fail',
      detail: expect.stringMatching(/^tdx-image\.mrtd: /),
    });
    // This test guest measures no identity; the image is refused all the same.
    expect(examination.verdict).toBe('refused');
    expect(examination.facts.osImage?.osImageHash).toBeNull();
  });

  it('skips what it cannot have, and says why', async () => {
    expect(outcome(await examine(guest.vmConfig(false)))).toMatchObject({
      outcome: 'skipped',
      detail: expect.stringMatching(/no source of images/),
    });
    answer = { status: 500, body: Buffer.from('') };
    expect(outcome(await examine(guest.vmConfig(false), downloader()))).toMatchObject({
      outcome: 'skipped',
      detail: expect.stringMatching(/HTTP 500/),
    });
    expect(outcome(await examine('{}', downloader()))?.outcome).toBe('fail');
  });
});
