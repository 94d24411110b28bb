import {
  type PoolOutcome,
  type QuoteCollateralV3,
  QuoteVerificationError,
  QuoteVerifier,
  QuoteVerifierPool,
  type VerifierInput,
} from '@vouch/attestation';
import { TEST_NOW, TEST_UNTIL, TestPlatform } from '@vouch/attestation/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

/** Runs on the build, because a thread starts from a file of it. */
const platform = new TestPlatform();
const trustAnchors = [platform.trustAnchor];
const collateral = platform.collateral();
const good = platform.quote();

function input(change: Partial<VerifierInput> = {}): VerifierInput {
  return { quote: good, collateral, now: TEST_NOW, ...change };
}

function flipped(offset: number): Uint8Array {
  const copy = new Uint8Array(good);
  copy[offset] = (copy[offset] ?? 0) ^ 1;
  return copy;
}

/** Everything a caller sees of one answer. */
function facts(outcome: PoolOutcome): unknown {
  if (outcome.ok) return outcome.verdict;
  const { code, failed, checks, tcbStatus, offset, message, retryable } = outcome.error;
  return { code, failed, checks, tcbStatus, offset, message, retryable };
}

const verifier = new QuoteVerifier({ trustAnchors });

function onThisThread(one: VerifierInput): unknown {
  try {
    const { verified: _, ...verdict } = verifier.verify(one);
    return verdict;
  } catch (error) {
    if (!(error instanceof QuoteVerificationError)) throw error;
    return facts({ ok: false, error });
  }
}

async function collect(pool: QuoteVerifierPool, inputs: Iterable<VerifierInput>): Promise<unknown[]> {
  const seen: unknown[] = [];
  for await (const outcome of pool.verifyAll(inputs)) seen.push(facts(outcome));
  return seen;
}

describe('QuoteVerifierPool', () => {
  let pool: QuoteVerifierPool;
  beforeAll(() => {
    pool = new QuoteVerifierPool({ threads: 2, trustAnchors });
  });
  afterAll(() => pool.close());

  it('answers as one verifier does, in the order of the source, with more distinct verdicts than it shares at a time', async () => {
    const other = new TestPlatform();
    const kinds: readonly Partial<VerifierInput>[] = [
      {},
      { quote: platform.quote({ tdAttributes: '0100001000000000' }) },
      { collateral: platform.collateral({ levels: [{ status: 'OutOfDate', advisories: ['INTEL-SA-2'] }] }) },
      { collateral: platform.collateral({ levels: [{ status: 'Revoked' }] }) },
      { collateral: platform.collateral({ revoked: ['pck'] }) },
      { quote: flipped(200) },
      { quote: flipped(2000) },
      { quote: good.subarray(0, 900) },
      { quote: new Uint8Array() },
      { quote: other.quote(), collateral: other.collateral() },
      { now: new Date(TEST_UNTIL.getTime() + 1) },
      { collateral: null as unknown as QuoteCollateralV3 },
      { collateral: { ...collateral, pck_crl: 7 as unknown as string } },
    ];
    const inputs = Array.from({ length: 1500 }, (_, i) => {
      const kind = kinds[(i * 7) % kinds.length];
      // Times that repeat, and times that are seen once.
      return input({ now: new Date(TEST_NOW.getTime() + (i % 3 === 0 ? i : i % 5) * 1000), ...kind });
    });
    const seen = await collect(pool, inputs);
    expect(seen).toEqual(inputs.map(onThisThread));
  });

  it('knows many sets of collateral, a few of them at a time', async () => {
    const sets = Array.from({ length: 40 }, (_, i) =>
      platform.collateral({ levels: [{ status: 'UpToDate', advisories: [`INTEL-SA-${i}`] }] }),
    );
    const inputs = Array.from({ length: 400 }, (_, i) => input({ collateral: sets[(i * 11) % 40] ?? collateral }));
    expect(await collect(pool, inputs)).toEqual(inputs.map(onThisThread));
  });

  it('hands no two callers the same changeable thing', async () => {
    const [a, b] = await Promise.all([pool.verify(input()), pool.verify(input())]);
    a.notAfter.setTime(0);
    expect(() => Object.assign(a.checks[0] ?? {}, { outcome: 'fail' })).toThrow(TypeError);
    expect(b.notAfter).toEqual(TEST_UNTIL);
    expect((await pool.verify(input())).notAfter).toEqual(TEST_UNTIL);
  });

  it('has copied the quote when verify returns', async () => {
    const bytes = new Uint8Array(good);
    const answer = pool.verify(input({ quote: bytes }));
    bytes.fill(0);
    await expect(answer).resolves.toMatchObject({ status: 'UpToDate' });
  });

  it('calls a wrong time the bug that it is', async () => {
    await expect(pool.verify(input({ now: new Date(Number.NaN) }))).rejects.toThrow(RangeError);
    expect(() => new QuoteVerifierPool({ threads: 0 })).toThrow(RangeError);
  });

  it('takes from a source only what it has room for', async () => {
    let taken = 0;
    function* source(): Generator<VerifierInput> {
      for (; ; taken += 1) yield input();
    }
    let seen = 0;
    for await (const outcome of pool.verifyAll(source())) {
      expect(outcome.ok).toBe(true);
      seen += 1;
      if (seen === 1000) break;
    }
    expect(taken).toBeLessThan(1000 + 2 * 64 * 3 + 1);
  });
});

describe('a QuoteVerifierPool with hardly any room', () => {
  it('refuses more than may wait, and answers the rest', async () => {
    await using pool = new QuoteVerifierPool({ threads: 1, queueMax: 5, trustAnchors });
    const answers = await Promise.allSettled(Array.from({ length: 8 }, () => pool.verify(input())));
    expect(answers.map(({ status }) => status)).toEqual([
      ...['fulfilled', 'fulfilled', 'fulfilled', 'fulfilled', 'fulfilled', 'rejected', 'rejected', 'rejected'],
    ]);
    expect(answers.at(-1)).toMatchObject({ reason: { code: 'POOL_FULL', retryable: true } });
    expect(await collect(pool, [input(), input()])).toHaveLength(2);
  });

  it('answers what it accepted when it is closed, and nothing after', async () => {
    const pool = new QuoteVerifierPool({ threads: 2, trustAnchors });
    const accepted = Array.from({ length: 300 }, () => pool.verify(input()));
    const closing = pool.close();
    await expect(pool.verify(input())).rejects.toMatchObject({ code: 'POOL_CLOSED', retryable: false });
    const verdicts = await Promise.all(accepted);
    expect(verdicts.every(({ status }) => status === 'UpToDate')).toBe(true);
    await closing;
    await pool.close();
  });

  it('says so when a thread dies at work, and goes on with another one', async () => {
    // The first thread to see this flag takes it down and dies; its successor runs the real program.
    const flag = new Int32Array(new SharedArrayBuffer(4));
    const real = new URL('../../dist/pool/pool-thread.js', import.meta.url);
    const program = threadProgram(`
      const flag = workerData.flag;
      if (Atomics.exchange(flag, 0, 1) === 0) parentPort.on('message', () => { throw new Error('cosmic ray'); });
      else await import(${JSON.stringify(real.href)});
    `);
    const options = { threads: 1, trustAnchors, flag };
    await using pool = new QuoteVerifierPool(options, program);
    await expect(pool.verify(input())).rejects.toMatchObject({
      ...{ code: 'POOL_THREAD_DIED', retryable: true },
      cause: expect.objectContaining({ message: 'cosmic ray' }),
    });
    await expect(pool.verify(input())).resolves.toMatchObject({ status: 'UpToDate' });
  });

  it('gives up when its threads cannot start, and closes all the same', async () => {
    const pool = new QuoteVerifierPool({ threads: 2, trustAnchors }, threadProgram('throw new Error("no");'));
    let error: unknown;
    for (let i = 0; i < 50; i += 1) error = await pool.verify(input()).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'POOL_THREAD_DIED', message: expect.stringContaining('can be started') });
    await pool.close();
  });
});

/** A thread that runs this text. */
function threadProgram(body: string): URL {
  const text = `import { parentPort, workerData } from 'node:worker_threads';\n${body}`;
  return new URL(`data:text/javascript,${encodeURIComponent(text)}`);
}
