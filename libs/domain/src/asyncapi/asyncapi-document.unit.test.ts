import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { eventCatalog } from '../event-catalog.js';
import { asyncApiDocument } from './asyncapi-document.js';

const committed = resolve(import.meta.dirname, '../../../../docs/asyncapi.json');
const document = asyncApiDocument('0.1.0');

describe('AsyncAPI document', () => {
  it('names every event type once, in the channel of its kind', () => {
    const channels = document.channels as Record<string, { messages: Record<string, unknown> }>;
    const named = Object.values(channels).flatMap(({ messages }) => Object.keys(messages));
    expect(named.sort()).toEqual(Object.keys(eventCatalog).sort());
  });

  it('is what docs/asyncapi.json holds (write it anew with UPDATE_DOCS=1)', async () => {
    const text = `${JSON.stringify(document, null, 2)}\n`;
    if (process.env.UPDATE_DOCS === '1') {
      const { writeFileSync } = await import('node:fs');
      writeFileSync(committed, text);
    }
    expect(existsSync(committed) && readFileSync(join(committed), 'utf8')).toBe(text);
  });
});
