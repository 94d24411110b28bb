import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { ApiTokens } from './api-tokens.js';

const hash = (token: string) => createHash('sha256').update(token).digest('hex');
const tokens = new ApiTokens([
  { principal: 'ann', tokenSha256: hash('a-token'), role: 'operator' },
  { principal: 'vic', tokenSha256: hash('v-token'), role: 'viewer' },
]);

describe('API tokens', () => {
  it('name their principal', () => {
    expect(tokens.principalOf('a-token')).toEqual({ name: 'ann', role: 'operator' });
    expect(tokens.principalOf('v-token')).toEqual({ name: 'vic', role: 'viewer' });
  });
  it.each(['', 'a-toke', 'a-token ', hash('a-token')])('%j names nobody', (token) => {
    expect(tokens.principalOf(token)).toBeUndefined();
  });
  it('a missing file ends the start with the setting’s name', () => {
    expect(() => ApiTokens.fromFile('/nowhere/tokens.json')).toThrow(/VOUCH_API_TOKENS_FILE/);
  });
});
