import { readFileSync } from 'node:fs';
import { canonicalBytes, type TrustFile, trustFileSchema } from '@vouch/domain';

const FOLDER = new URL('../../../../test/replay/histories/', import.meta.url);

interface SavedEvent {
  readonly seq: number;
  readonly subject: string;
  /** The stored bytes: canonical form is a function of the JSON, so the file can be read by people. */
  readonly bytes: Uint8Array;
}

/** A log as a fleet once wrote it, with the trust file of that fleet and the root of its simulated quotes. */
export interface SavedHistory {
  readonly events: readonly SavedEvent[];
  readonly trust: TrustFile;
  readonly rootPem: string;
}

export function savedHistory(name: string): SavedHistory {
  const read = (suffix: string) => readFileSync(new URL(`${name}${suffix}`, FOLDER), 'utf8');
  const { trust, rootPem } = JSON.parse(read('.trust.json')) as { trust: unknown; rootPem: string };
  const events = read('.jsonl')
    .trim()
    .split('\n')
    .map((line) => {
      const { seq, subject, event } = JSON.parse(line) as { seq: number; subject: string; event: unknown };
      return { seq, subject, bytes: canonicalBytes(event) };
    });
  return { events, trust: trustFileSchema.parse(trust), rootPem };
}
