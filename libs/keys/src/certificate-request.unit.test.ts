import { describe, expect, it } from 'vitest';
import {
  type CertificateRequest,
  certificateRequestClaims,
  signCertificateRequest,
  verifyCertificateRequest,
} from './certificate-request.js';
import { generateP256 } from './p256.js';

const identity = generateP256();
const subject = generateP256();
const request: CertificateRequest = {
  version: 1,
  appId: '11'.repeat(20),
  instanceId: '22'.repeat(20),
  epoch: 3,
  grantSeq: 17,
  publicKey: Buffer.from(subject.spki).toString('hex'),
  subject: 'hello',
  altNames: ['hello.example.org', '127.0.0.1'],
  usages: ['serverAuth'],
};

describe('certificate request', () => {
  it('verifies with the attested key and gives back the request', () => {
    const signed = signCertificateRequest(request, identity.privateKey);
    expect(verifyCertificateRequest(signed, identity.spki)).toEqual({ ok: true, request });
    expect(certificateRequestClaims(signed)).toMatchObject({ instanceId: request.instanceId, epoch: 3, grantSeq: 17 });
  });

  it('refuses another signer and a changed statement', () => {
    const signed = signCertificateRequest(request, identity.privateKey);
    const changed = { ...signed, statement: signed.statement.replace('"epoch":3', '"epoch":4') };
    for (const [candidate, key] of [
      [signCertificateRequest(request, subject.privateKey), identity.spki],
      [changed, identity.spki],
      [{ ...signed, signature: '' }, identity.spki],
    ] as const) {
      expect(verifyCertificateRequest(candidate, key)).toMatchObject({ ok: false, code: 'request-signature-invalid' });
    }
  });

  it.each([
    ['altNames', { ...request, altNames: ['ünïcode'] }],
    ['altNames', { ...request, altNames: Array.from({ length: 33 }, () => 'a') }],
    ['usages', { ...request, usages: ['codeSigning'] }],
    ['publicKey', { ...request, publicKey: '00' }],
    ['notBefore', { ...request, notBefore: 20, notAfter: 10 }],
    ['epoch', { ...request, epoch: 0 }],
    ['unknown field', { ...request, isCa: true }],
  ])('does not sign or accept a malformed %s', (field, broken) => {
    expect(() => signCertificateRequest(broken as CertificateRequest, identity.privateKey)).toThrow(field);
  });

  it('refuses text that is not canonical, even when signed', async () => {
    const { sign } = await import('node:crypto');
    const { certificateRequestBytes } = await import('./certificate-request.js');
    for (const statement of [JSON.stringify(request), '[]', 'null', '{', ' {}']) {
      const signature = sign('sha256', certificateRequestBytes(statement), identity.privateKey).toString('base64');
      expect(verifyCertificateRequest({ statement, signature }, identity.spki)).toMatchObject({
        ok: false,
        code: 'request-malformed',
      });
    }
  });
});
