import { describe, expect, it } from 'vitest';
import { appId, HEX16, HEX20 } from '../ids.js';
import { instanceIdentityOf, operationIdOf, releaseIdOf } from './derived-ids.js';

describe('derived ids', () => {
  it('are the same for the same cause and have their types’ forms', () => {
    const operation = operationIdOf('ann', 'key-1');
    expect(operation).toBe(operationIdOf('ann', 'key-1'));
    expect(operation).toMatch(HEX16);
    expect(releaseIdOf(operation)).toMatch(HEX16);
    expect(instanceIdentityOf(operation, appId('a1'.repeat(20))).instanceId).toMatch(HEX20);
  });
  it('a key of one principal never names the operation of another', () => {
    expect(operationIdOf('ann', 'b')).not.toBe(operationIdOf('annb', ''));
    expect(operationIdOf('ann', 'key')).not.toBe(operationIdOf('bob', 'key'));
  });
});
