import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { appId, HEX16, HEX20 } from '../ids.js';
import { instanceIdentityOf, operationIdOf, releaseIdOf, stepEventId } from './derived-ids.js';

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
  it('event ids are UUIDs', () => {
    const id = stepEventId('a', 'instance.created', 0);
    expect(z.uuid().safeParse(id).success).toBe(true);
    expect(id).not.toBe(stepEventId('a', 'instance.created', 1));
  });
});
