import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { CappedLog } from './capped-log.js';

it('keeps the newest lines within twice its size', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'log-'));
  const path = join(folder, 'app.log');
  try {
    const log = new CappedLog(path, 100);
    for (let line = 0; line < 50; line += 1) log.write(Buffer.from(`line ${String(line).padStart(4, '0')}\n`));
    log.close();
    const [current, before] = [await readFile(path, 'utf8'), await readFile(`${path}.1`, 'utf8')];
    expect(current.length).toBeLessThanOrEqual(100);
    expect(before.length).toBeLessThanOrEqual(100);
    expect(`${before}${current}`).toMatch(/line 0040\n(line \d{4}\n)*line 0049\n$/);
    const again = new CappedLog(path, 100);
    again.write(Buffer.alloc(99, 'x'));
    again.close();
    expect(await readFile(`${path}.1`, 'utf8')).toBe(current);
  } finally {
    await rm(folder, { recursive: true });
  }
});
