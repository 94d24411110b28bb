import { createHash, timingSafeEqual } from 'node:crypto';
import { ConfigError, readSettingFile } from '@vouch/platform';
import { z } from 'zod';

type Role = 'operator' | 'viewer';

/** Who makes a request. A viewer reads; an operator may also change things. */
export interface Principal {
  readonly name: string;
  readonly role: Role;
}

const tokensFileSchema = z
  .array(
    z.strictObject({
      principal: z.string().min(1).max(128),
      /** SHA-256 of the token, hex: the file holds nothing one could log in with. */
      tokenSha256: z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hex digits'),
      role: z.enum(['operator', 'viewer']),
    }),
  )
  .min(1, 'must name at least one principal');

/** The bearer tokens that are accepted, as hashes. Immutable; a changed file needs a restart. */
export class ApiTokens {
  readonly #entries: readonly { readonly hash: Buffer; readonly principal: Principal }[];

  constructor(entries: z.infer<typeof tokensFileSchema>) {
    this.#entries = entries.map(({ principal, tokenSha256, role }) => ({
      hash: Buffer.from(tokenSha256, 'hex'),
      principal: { name: principal, role },
    }));
  }

  /** Reads VOUCH_API_TOKENS_FILE. Throws ConfigError. */
  static fromFile(path: string): ApiTokens {
    const text = readSettingFile('VOUCH_API_TOKENS_FILE', path);
    try {
      return new ApiTokens(tokensFileSchema.parse(JSON.parse(text)));
    } catch (error) {
      const detail = error instanceof z.ZodError ? z.prettifyError(error).replace(/\s+/g, ' ') : 'it is not JSON';
      throw new ConfigError([`VOUCH_API_TOKENS_FILE: ${path} is not a tokens file: ${detail}`]);
    }
  }

  /** The principal of a token, or undefined. Compares hashes of all entries, in time that tells nothing about which. */
  principalOf(token: string): Principal | undefined {
    const hash = createHash('sha256').update(token).digest();
    let found: Principal | undefined;
    for (const entry of this.#entries) {
      if (timingSafeEqual(entry.hash, hash)) found = entry.principal;
    }
    return found;
  }
}
