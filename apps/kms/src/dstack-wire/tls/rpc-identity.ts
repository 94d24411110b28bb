import { ratlsReportData, readAttestation, stripForCertificate, writeAttestation } from '@vouch/attestation';
import { deriveTempCaKey, generateP256, mintKmsRpcLeaf, mintTempCa, wipeP256 } from '@vouch/keys';
import type { KmsRoot } from '../../root/root-files.js';
import type { OwnAgent } from '../guest/own-agent.js';
import { PrpcError } from '../prpc/prpc-error.js';

/** The CA for client certificates: certificate and key as PEM. The key is public by design. */
export interface TempCa {
  readonly certificate: string;
  readonly privateKey: string;
}

/** What the server shows of itself: chain (leaf, root) and key, PEM. */
export interface ServerIdentity {
  readonly chain: string;
  readonly privateKey: string;
}

export function tempCaOf(root: KmsRoot, now: Date): TempCa {
  const key = deriveTempCaKey(root.keys);
  const { pem } = mintTempCa(key, now);
  return { certificate: pem, privateKey: key.privateKey.export({ format: 'pem', type: 'pkcs8' }) as string };
}

/**
 * A fresh key with a certificate for the KMS's domain under the root CA, attested when there is an agent to ask: an agent
 * that cannot is an error, as a KMS that should be attested must not look like one that need not be. Throws PrpcError.
 */
export async function serverIdentity(root: KmsRoot, agent: OwnAgent | undefined, now: Date): Promise<ServerIdentity> {
  const key = generateP256();
  const attestation = agent === undefined ? undefined : await strippedAttestation(agent, key.spki);
  const leaf = mintKmsRpcLeaf(root.keys, {
    ...{ publicKey: key.spki, domain: root.domain, now },
    ...(attestation === undefined ? {} : { attestation }),
  });
  const privateKey = key.privateKey.export({ format: 'pem', type: 'pkcs8' }) as string;
  wipeP256(key);
  return { chain: leaf.pem + root.rootCaCert, privateKey };
}

async function strippedAttestation(agent: OwnAgent, spki: Uint8Array): Promise<Uint8Array> {
  const read = readAttestation(await agent.attest(ratlsReportData(spki)));
  if (!read.ok) throw new PrpcError(`the guest agent's attestation cannot be read: ${read.failed.detail}`);
  return writeAttestation(stripForCertificate(read.value));
}
