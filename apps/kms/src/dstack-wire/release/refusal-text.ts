import type { Check } from '@vouch/domain';

/** What the client is told, in dstack's words where it has some. */
export function refusalText({ name, detail }: Pick<Check, 'name' | 'detail'>): string {
  switch (name) {
    case 'policy.app':
    case 'policy.fresh':
      return `Boot denied: ${detail}`;
    case 'os-image.measurement':
      return `os image cannot be verified: ${detail}`;
    case 'key-epoch.good':
      return detail;
    case 'certificate.terms':
      return `the certificate cannot be signed: ${detail}`;
    default:
      return `invalid quote: ${name}: ${detail}`;
  }
}
