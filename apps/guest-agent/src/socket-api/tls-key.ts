import { randomBytes, X509Certificate } from 'node:crypto';
import { type CertificateRequest, deriveP256, type P256Key, signCertificateRequest } from '@vouch/keys';
import type { GuestContext } from './guest-context.js';
import { RpcError } from './rpc-error.js';
import type { RpcRequest } from './rpc-request.js';

/**
 * GetTlsKey: a fresh P-256 key and its chain [leaf, app CA, root CA] from the KMS, through the host. The request is signed
 * by the attested identity key; the chain is checked before the app sees it, since the host could have made another one.
 */
export async function getTlsKey(context: GuestContext, request: RpcRequest): Promise<Record<string, unknown>> {
  if (request.flag('usage_ra_tls')) throw new RpcError('usage_ra_tls is not supported by this agent');
  if (request.flag('with_app_info')) throw new RpcError('with_app_info is not supported by this agent');
  const notBefore = request.seconds('not_before');
  const notAfter = request.seconds('not_after');
  if (notBefore !== undefined && notAfter !== undefined && notBefore >= notAfter) {
    throw new RpcError('not_before must be earlier than not_after');
  }
  return await issue(context, {
    subject: request.text('subject'),
    altNames: request.texts('alt_names'),
    usages: [
      ...(request.flag('usage_server_auth') ? (['serverAuth'] as const) : []),
      ...(request.flag('usage_client_auth') ? (['clientAuth'] as const) : []),
    ],
    ...(notBefore === undefined ? {} : { notBefore }),
    ...(notAfter === undefined ? {} : { notAfter }),
  });
}

type Wish = Pick<CertificateRequest, 'subject' | 'altNames' | 'usages' | 'notBefore' | 'notAfter'>;

/** A fresh key and its verified certificate chain. Throws RpcError with the KMS's or host's reason. */
export async function issue(
  context: GuestContext,
  wish: Wish,
): Promise<{ readonly key: string; readonly certificate_chain: readonly string[] }> {
  const { grant, grantSeq } = context.grant.decision;
  // dstack's derivation for fresh TLS keys: HKDF over 32 random bytes with an empty context.
  const key = deriveP256(randomBytes(32), []);
  let chain: readonly string[];
  try {
    const signed = signCertificateRequest(
      {
        version: 1,
        appId: grant.appId,
        instanceId: grant.instanceId,
        epoch: grant.epoch,
        grantSeq,
        publicKey: Buffer.from(key.spki).toString('hex'),
        ...wish,
      },
      context.identityKey.privateKey,
    );
    chain = await context.host.certificate(signed);
  } catch (cause) {
    throw new RpcError(`Failed to get certificate from KMS: ${(cause as Error).message}`, { cause });
  }
  assertChain(chain, key, context);
  return { key: key.privateKey.export({ format: 'pem', type: 'pkcs8' }) as string, certificate_chain: chain };
}

/** Leaf for this key, each certificate signed by the next, the last one the KMS root that granted the keys. */
function assertChain(chain: readonly string[], key: P256Key, context: GuestContext): void {
  const refuse = (reason: string): RpcError => new RpcError(`Failed to get certificate from KMS: ${reason}`);
  let certificates: X509Certificate[];
  try {
    certificates = chain.map((pem) => new X509Certificate(pem));
  } catch {
    throw refuse('the chain cannot be parsed');
  }
  const [leaf] = certificates;
  const root = certificates.at(-1);
  if (leaf === undefined || root === undefined) throw refuse('the chain is empty');
  if (!leaf.checkPrivateKey(key.privateKey)) throw refuse('the leaf is for another key');
  for (const [index, certificate] of certificates.entries()) {
    const issuer = certificates[index + 1] ?? root;
    if (!certificate.checkIssued(issuer) || !certificate.verify(issuer.publicKey)) throw refuse('the chain is broken');
  }
  const rootSpki = root.publicKey.export({ format: 'der', type: 'spki' }).toString('hex');
  if (rootSpki !== context.grant.decision.rootCaSpki) throw refuse('the chain does not end at the KMS root');
}
