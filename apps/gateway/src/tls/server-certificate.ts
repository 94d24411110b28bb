import { createHash, createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { createSecureContext, type SecureContext } from 'node:tls';

/** The certificate files cannot be served. Says which file and what to do. */
export class CertificateUnusableError extends Error {
  readonly code = 'certificate-unusable';
  readonly retryable = false;
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'CertificateUnusableError';
  }
}

export interface ServerCertificateFiles {
  /** PEM chain, leaf first. */
  readonly certFile: string;
  /** PEM private key of the leaf. */
  readonly keyFile: string;
  /** The leaf must be valid for every name one label below it. */
  readonly baseDomain: string;
}

export interface CertificateSummary {
  /** SHA-256 of the leaf, hex. */
  readonly fingerprint: string;
  readonly notAfter: Date;
}

interface Loaded extends CertificateSummary {
  readonly context: SecureContext;
}

/** Any label below the base domain: a wildcard covers all of them or none. */
const PROBE_LABEL = 'any';

/**
 * The wildcard certificate TLS ends with. Replaced files are taken up by {@link reload} when both fit together; until
 * then, and when they cannot be used, connections go on with the pair that was loaded last.
 */
export class ServerCertificate {
  #lastSeen: string;

  private constructor(
    private readonly files: ServerCertificateFiles,
    private loaded: Loaded,
    lastSeen: string,
  ) {
    this.#lastSeen = lastSeen;
  }

  /** Throws CertificateUnusableError. */
  static async load(files: ServerCertificateFiles): Promise<ServerCertificate> {
    const seen = await versionOf(files);
    return new ServerCertificate(files, await read(files), seen);
  }

  get context(): SecureContext {
    return this.loaded.context;
  }

  get summary(): CertificateSummary {
    return { fingerprint: this.loaded.fingerprint, notAfter: this.loaded.notAfter };
  }

  /** Takes up changed files. Resolves with true when there was a change; throws CertificateUnusableError, keeping the old. */
  async reload(): Promise<boolean> {
    const seen = await versionOf(this.files);
    if (seen === this.#lastSeen) return false;
    // Only remembered when it could be used: a half-written pair is looked at again.
    this.loaded = await read(this.files);
    this.#lastSeen = seen;
    return true;
  }
}

/** Changes when a file is replaced or written. Missing files count as a version of their own. */
async function versionOf({ certFile, keyFile }: ServerCertificateFiles): Promise<string> {
  const versions = await Promise.all(
    [certFile, keyFile].map(async (file) => {
      const entry = await stat(file, { bigint: true }).catch(() => undefined);
      return entry === undefined ? 'missing' : `${entry.ino}.${entry.mtimeNs}.${entry.size}`;
    }),
  );
  return versions.join(' ');
}

async function read({ certFile, keyFile, baseDomain }: ServerCertificateFiles): Promise<Loaded> {
  const [cert, key] = await Promise.all([readPem(certFile), readPem(keyFile)]);
  let leaf: X509Certificate;
  try {
    leaf = new X509Certificate(cert);
  } catch (cause) {
    throw new CertificateUnusableError(`${certFile} holds no PEM certificate`, { cause });
  }
  if (!isKeyOf(leaf, key, keyFile)) {
    throw new CertificateUnusableError(`${keyFile} is not the private key of ${certFile}`);
  }
  if (leaf.checkHost(`${PROBE_LABEL}.${baseDomain}`) === undefined) {
    throw new CertificateUnusableError(`${certFile} is not valid for *.${baseDomain}`);
  }
  return {
    context: createSecureContext({ cert, key, minVersion: 'TLSv1.2' }),
    fingerprint: createHash('sha256').update(leaf.raw).digest('hex'),
    notAfter: new Date(leaf.validTo),
  };
}

async function readPem(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new CertificateUnusableError(`${file} cannot be read`, { cause });
  }
}

function isKeyOf(leaf: X509Certificate, key: string, keyFile: string): boolean {
  try {
    return leaf.checkPrivateKey(createPrivateKey(key));
  } catch {
    // The cause could quote the key.
    throw new CertificateUnusableError(`${keyFile} holds no PEM private key`);
  }
}
