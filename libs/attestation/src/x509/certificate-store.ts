import { equalBytes } from '../bytes.js';
import { type Certificate, parseCertificate } from './certificate.js';
import { decodePemBody, pemBodies } from './pem.js';

/**
 * The certificates of one set of evidence. Roots and CAs stand in several chains: each distinct certificate, told apart
 * by its exact DER, is parsed once and is one object, so that a signature proven for it need not be proven again.
 * A store built on another one also finds what that one holds, and adds nothing to it.
 */
export class CertificateStore {
  private readonly entries: { readonly body: string; readonly certificate: Certificate }[] = [];

  constructor(private readonly base: CertificateStore | null = null) {}

  /** Every certificate of PEM text, in file order. @throws Refusal of decoding and parsing */
  readPem(text: string, source: string): readonly Certificate[] {
    return pemBodies(text, source).map((body) => this.findBody(body) ?? this.add(body, decodePemBody(body, source)));
  }

  private add(body: string, der: Uint8Array): Certificate {
    const certificate = this.findDer(der) ?? parseCertificate(der);
    this.entries.push({ body, certificate });
    return certificate;
  }

  /** The same text is the same certificate, and need not be decoded. */
  private findBody(body: string): Certificate | undefined {
    return this.entries.find((entry) => entry.body === body)?.certificate ?? this.base?.findBody(body);
  }

  private findDer(der: Uint8Array): Certificate | undefined {
    const known = this.entries.find((entry) => equalBytes(entry.certificate.der, der));
    return known?.certificate ?? this.base?.findDer(der);
  }
}
