import type { CertificateRequest } from '@vouch/keys';
import { describe, expect, it } from 'vitest';
import { certificateTerms } from './certificate-rules.js';

const appId = 'aa'.repeat(20);
const now = new Date('2026-05-01T12:00:00.400Z');
const bounds = {
  appId,
  address: '10.7.0.9',
  reservedDomains: ['kms.example', 'apps.example', 'gate.cluster.example'],
  now,
};
const seconds = (iso: string) => Date.parse(iso) / 1000;

function terms(change: Partial<CertificateRequest>) {
  const request: CertificateRequest = {
    version: 1,
    appId,
    instanceId: '1b'.repeat(20),
    epoch: 1,
    grantSeq: 5,
    publicKey: '00'.repeat(91),
    subject: 'my app',
    altNames: [],
    usages: ['serverAuth'],
    ...change,
  };
  return certificateTerms(request, bounds);
}

describe('names an app may have certified', () => {
  it.each([
    'app.example.com',
    '*.app.example.com',
    'localhost',
    '127.0.0.1',
    '::1',
    '10.7.0.9',
    `${appId}.apps.example`,
    `${appId}-8443s.apps.example`,
    `x.${appId}.apps.example`,
    'App.Example.COM',
  ])('%s', (name) => {
    expect(terms({ altNames: [name] })).toMatchObject({ ok: true, altNames: [name.toLowerCase()] });
  });

  it.each([
    ['kms.example', /reserved/],
    ['*.example', /not a DNS name/],
    ['*.cluster.example', /reserved/],
    ['example', /not a DNS name/],
    ['sub.kms.example', /only names of app/],
    ['apps.example', /reserved/],
    ['*.apps.example', /reserved/],
    [`${'bb'.repeat(20)}.apps.example`, /only names of app/],
    [`${appId}x.apps.example`, /only names of app/],
    ['10.7.0.10', /own address/],
    ['fe80::1', /own address/],
    ['-bad.example.com', /not a DNS name/],
    ['a..example.com', /not a DNS name/],
    ['foo.*.example.com', /not a DNS name/],
    [`${'a'.repeat(64)}.example.com`, /not a DNS name/],
  ])('not %s', (name, reason) => {
    expect(terms({ altNames: [name] })).toMatchObject({ ok: false, reason: expect.stringMatching(reason) });
  });

  it('holds for the subject as well', () => {
    expect(terms({ subject: 'kms.example' }).ok).toBe(false);
    expect(terms({ subject: 'app.example.com' }).ok).toBe(true);
  });

  it('not more than 16, counted once each', () => {
    const names = Array.from({ length: 17 }, (_, n) => `n${n}.example.com`);
    expect(terms({ altNames: names })).toMatchObject({ ok: false, reason: expect.stringMatching(/16/) });
    expect(terms({ altNames: [...names.slice(1), 'N1.example.com'] }).ok).toBe(true);
  });
});

describe('the validity of a certificate', () => {
  it('is one year from a little before now when nothing is asked for', () => {
    expect(terms({})).toMatchObject({
      notBefore: new Date('2026-05-01T11:55:00Z'),
      notAfter: new Date('2027-05-01T11:55:00Z'),
    });
  });

  it('is as asked for within a year', () => {
    const window = { notBefore: seconds('2026-05-01T00:00:00Z'), notAfter: seconds('2026-06-01T00:00:00Z') };
    expect(terms(window)).toMatchObject({ ok: true, notAfter: new Date('2026-06-01T00:00:00Z') });
  });

  it.each([
    ['longer than a year', { notBefore: seconds('2026-01-01T00:00:00Z'), notAfter: seconds('2027-04-01T00:00:00Z') }],
    ['ending in two years', { notBefore: seconds('2027-05-01T00:00:00Z'), notAfter: seconds('2028-04-01T00:00:00Z') }],
    ['over', { notBefore: seconds('2026-01-01T00:00:00Z'), notAfter: seconds('2026-02-01T00:00:00Z') }],
  ])('is not %s', (_, window) => {
    expect(terms(window).ok).toBe(false);
  });
});
