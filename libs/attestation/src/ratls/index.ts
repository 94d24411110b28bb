export { type AppInfo, readAppInfo, writeAppInfo } from './app-info.js';
export type { CertificatePurpose } from './certificate-extensions.js';
export {
  type CertificateContent,
  type CertificateIssuer,
  type CertificateName,
  mintCertificate,
  prepareIssuer,
} from './mint-certificate.js';
export { type RatlsCertificate, readRatlsCertificate } from './ratls-certificate.js';
export { type EncodedExtension, RATLS_OID, type RatlsExtensions, writeRatlsExtensions } from './ratls-extensions.js';
