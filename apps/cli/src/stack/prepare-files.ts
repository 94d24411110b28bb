import { createHash, X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { generateDevelopmentCa, mintServerCertificate } from '@vouch/keys';
import { ed25519File, type Identity, type KmsStatement, randomToken, writeTrustFile } from './identities.js';
import type { Layout } from './layout.js';
import { keepPrivate, writePrivate } from './private-file.js';
import { runOnce } from './run-once.js';
import { appEntry, kmsEnvironment } from './services.js';

/** Wildcard domain of a development stack: `*.localhost` names resolve to loopback without any DNS (RFC 6761 §6.3). */
export const BASE_DOMAIN = 'vouch.localhost';

const DAY_MS = 24 * 3600 * 1000;
const RENEW_BEFORE_MS = 30 * DAY_MS;

/**
 * Everything that needs no server: root keys of the KMS (made once), the trust file that pins them, the operator's token
 * and the gateway's certificate. Answers one line for the user.
 */
export async function prepareFiles(layout: Layout, identities: readonly Identity[]): Promise<string> {
  keepPrivate(join(layout.keysFolder, 'kms.passphrase'), randomToken);
  const printed = await runOnce(appEntry('kms'), ['bootstrap', '--domain', BASE_DOMAIN], {
    ...kmsEnvironment(layout),
    VOUCH_MODE: 'development',
  });
  const statement = JSON.parse(printed.trim().split('\n').at(-1) ?? '') as KmsStatement;
  writeTrustFile(layout, identities, ed25519File(join(layout.keysFolder, 'log.pem')), statement);
  keepPrivate(join(layout.keysFolder, 'operator.token'), randomToken);
  const tokenSha256 = createHash('sha256').update(operatorToken(layout)).digest('hex');
  writePrivate(layout.tokensFile, JSON.stringify([{ principal: 'operator', tokenSha256, role: 'operator' }], null, 2));
  makeGatewayCertificate(layout, new Date());
  const fingerprint = createHash('sha256').update(Buffer.from(statement.rootCaSpki, 'hex')).digest('hex');
  return `KMS root key ${fingerprint.slice(0, 16)}… pinned in trust.json`;
}

export function operatorToken(layout: Layout): string {
  return readFileSync(join(layout.keysFolder, 'operator.token'), 'utf8').trim();
}

/** A development CA (kept) and a wildcard certificate under it (renewed a month ahead of its end). */
function makeGatewayCertificate(layout: Layout, now: Date): void {
  const file = (name: string): string => join(layout.gatewayFolder, name);
  if (!existsSync(file('dev-ca.pem')) || !existsSync(file('dev-ca.key'))) {
    const ca = generateDevelopmentCa({ commonName: 'Vouch Development CA', now });
    writePrivate(file('dev-ca.key'), ca.privateKey);
    writePrivate(file('dev-ca.pem'), ca.certificate);
  }
  if (existsSync(file('wildcard.pem')) && validForMs(readFileSync(file('wildcard.pem')), now) > RENEW_BEFORE_MS) return;
  const ca = {
    certificate: readFileSync(file('dev-ca.pem'), 'utf8'),
    privateKey: readFileSync(file('dev-ca.key'), 'utf8'),
  };
  const leaf = mintServerCertificate({ ca, dnsNames: [`*.${BASE_DOMAIN}`, BASE_DOMAIN], now });
  writePrivate(file('wildcard.key'), leaf.privateKey);
  writePrivate(file('wildcard.pem'), leaf.certificate);
}

function validForMs(pem: Buffer, now: Date): number {
  return Date.parse(new X509Certificate(pem).validTo) - now.getTime();
}
