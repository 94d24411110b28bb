import { spawn } from 'node:child_process';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { MemoryTree, openCosignature, receiptOf, signCheckpoint, verifyReceipt } from '@vouch/transparency';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

/**
 * Fault 32: the operator of the log, who holds its key, rewrites event 100 and signs everything again. The witness is the
 * real command in a process of its own, which knows nothing of the fleet but the log's name and key.
 */
const cli = resolve(import.meta.dirname, '../../apps/cli/bin/vouch.mjs');
const ORIGIN = 'vouch.test/log';
const key = generateKeyPairSync('ed25519');
const publicKey = key.publicKey.export({ format: 'jwk' }).x ?? '';

/** Serves what an auditor serves, of whatever tree it is given. */
class ServedLog {
  tree = new MemoryTree();
  readonly #server: Server;

  constructor() {
    this.#server = createServer((request, response) => {
      const url = new URL(request.url ?? '', 'http://log');
      if (url.pathname === '/log/checkpoint') return response.end(this.checkpoint());
      const [from, to] = [Number(url.searchParams.get('from')), Number(url.searchParams.get('to'))];
      const proof = this.tree.consistencyProof(from, to).map((hash) => Buffer.from(hash).toString('base64'));
      return response.end(JSON.stringify({ proof }));
    });
  }

  async listen(): Promise<string> {
    await once(this.#server.listen(0, '127.0.0.1'), 'listening');
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  checkpoint(): string {
    return signCheckpoint({ origin: ORIGIN, size: this.tree.size, root: this.tree.root(), time: new Date() }, key);
  }

  close(): void {
    this.#server.close();
  }
}

function treeOf(size: number, rewritten?: number): MemoryTree {
  const tree = new MemoryTree();
  for (let seq = 1; seq <= size; seq += 1)
    tree.append(Buffer.from(seq === rewritten ? '{"denied":0}' : `{"seq":${seq}}`));
  return tree;
}

let folder: string;
let url: string;
const log = new ServedLog();
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vouch-witness-'));
  url = await log.listen();
});
afterAll(async () => {
  log.close();
  await rm(folder, { recursive: true, force: true });
});

async function witness(name: string, more: readonly string[] = []) {
  const state = join(folder, name);
  const args = ['audit', 'witness', '--url', url, '--origin', ORIGIN, '--public-key', publicKey, '--state', state];
  const child = spawn(process.execPath, [cli, ...args, ...more], { stdio: ['ignore', 'pipe', 'pipe'] });
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk) => {
    out += chunk;
  });
  child.stderr.on('data', (chunk) => {
    err += chunk;
  });
  const [code] = (await once(child, 'close')) as [number];
  return { code, out, err };
}

describe('fault 32: history rewritten and signed again', () => {
  it('the witness follows an honest log and cosigns it', async () => {
    log.tree = treeOf(150);
    const first = await witness('honest');
    expect(first).toMatchObject({ code: 0, err: expect.stringContaining('first look: 150 events') });
    log.tree = treeOf(217);
    const second = await witness('honest');
    expect(second).toMatchObject({ code: 0, err: expect.stringContaining('consistent: 150 -> 217 events') });
    const pem = await readFile(join(folder, 'honest', 'witness.pem'), 'utf8');
    const seenAt = openCosignature(second.out, { name: 'vouch-cli/witness', publicKey: createPublicKey(pem) });
    expect(Date.now() - seenAt.getTime()).toBeLessThan(120_000);
  });

  it('event 100 rewritten: the witness refuses, names what diverged, cosigns nothing and keeps its memory', async () => {
    log.tree = treeOf(150);
    await witness('rewritten');
    const memory = join(folder, 'rewritten', `${encodeURIComponent(ORIGIN)}.json`);
    const before = await readFile(memory, 'utf8');
    for (const size of [150, 151, 300]) {
      log.tree = treeOf(size, 100);
      const look = await witness('rewritten');
      expect(look).toMatchObject({ code: 2, out: '' });
      expect(look.err).toContain('history-rewritten');
      expect(look.err).toContain('the first 150 events are no longer those that were seen');
      expect(look.err).toContain(`checkpoint of ${size}`);
    }
    expect(await readFile(memory, 'utf8')).toBe(before);
  });

  it('a shorter log is refused, and a broken memory never starts anew', async () => {
    log.tree = treeOf(150);
    await witness('cut');
    log.tree = treeOf(120);
    expect(await witness('cut')).toMatchObject({ code: 2, err: expect.stringContaining('log-went-back') });
    await writeFile(join(folder, 'cut', `${encodeURIComponent(ORIGIN)}.json`), '{}');
    expect(await witness('cut')).toMatchObject({ code: 1, err: expect.stringContaining('is not the memory of') });
  });

  it("a client's receipt and the new history exclude each other", () => {
    const honest = treeOf(150);
    log.tree = honest;
    const kept = receiptOf(100, Buffer.from('{"seq":100}'), honest.inclusionProof(99), log.checkpoint());
    const verifier = { origin: ORIGIN, publicKey: key.publicKey };
    expect(verifyReceipt(kept, verifier).checkpoint.size).toBe(150);
    log.tree = treeOf(150, 100);
    const other = log.checkpoint();
    for (const forged of [
      { ...kept, checkpoint: other },
      {
        ...kept,
        checkpoint: other,
        path: log.tree.inclusionProof(99).map((hash) => Buffer.from(hash).toString('base64')),
      },
    ]) {
      expect(() => verifyReceipt(forged, verifier)).toThrow(expect.objectContaining({ code: 'proof-root-mismatch' }));
    }
  });
});

describe('fault 33: a receipt is tampered with', () => {
  it('any changed byte is refused, with the step named', () => {
    log.tree = treeOf(150);
    const receipt = receiptOf(100, Buffer.from('{"seq":100}'), log.tree.inclusionProof(99), log.checkpoint());
    const verifier = { origin: ORIGIN, publicKey: key.publicKey };
    const text = JSON.stringify(receipt);
    const steps = new Set<string>();
    for (let at = 0; at < text.length; at += 1) {
      let value: unknown;
      try {
        value = JSON.parse(text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ 1) + text.slice(at + 1));
      } catch {
        continue;
      }
      let code = 'accepted';
      try {
        verifyReceipt(value, verifier);
      } catch (error) {
        code = String((error as { code?: unknown }).code);
      }
      expect(code, `character ${at}`).not.toBe('accepted');
      steps.add(code);
    }
    for (const step of ['receipt-malformed', 'proof-root-mismatch', 'checkpoint-signature-invalid']) {
      expect(steps).toContain(step);
    }
  });
});
