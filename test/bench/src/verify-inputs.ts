import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseEventLog, type QuoteCollateralV3, type TdxEvent, type TrustAnchor } from '@vouch/attestation';
import { TEST_NOW, TestPlatform } from '@vouch/attestation/testing';

/** One quote to verify, with what it is verified against. */
export interface VerifyInput {
  readonly name: string;
  readonly quote: Uint8Array;
  readonly collateral: QuoteCollateralV3;
  readonly now: Date;
}

/** What the benchmark works on, and under which roots. */
export interface VerifyInputs {
  readonly inputs: readonly VerifyInput[];
  /** Undefined: the Intel root alone. Peers know no other one. */
  readonly trustAnchors: readonly TrustAnchor[] | undefined;
  readonly source: string;
  readonly events: readonly TdxEvent[];
  readonly eventLog: string;
}

const EVENTS = 33;
const root = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');

/** Real quotes from `VOUCH_VECTORS` (default ../shared/vectors) when they are there, else quotes of a test platform. */
export function verifyInputs(): VerifyInputs {
  const folder = join(resolve(process.env.VOUCH_VECTORS ?? join(root, '../shared/vectors')), 'quotes');
  return existsSync(join(folder, 'README.json')) ? realInputs(folder) : mintedInputs();
}

function realInputs(folder: string): VerifyInputs {
  const { vectors } = JSON.parse(readFileSync(join(folder, 'README.json'), 'utf8')) as {
    vectors: Readonly<Record<string, { evaluate: { now: number } }>>;
  };
  const inputs = Object.entries(vectors).map(([name, { evaluate }]) => ({
    name,
    quote: new Uint8Array(readFileSync(join(folder, name, 'quote.bin'))),
    collateral: JSON.parse(readFileSync(join(folder, name, 'collateral.json'), 'utf8')) as QuoteCollateralV3,
    now: new Date(evaluate.now * 1000),
  }));
  const eventLog = readFileSync(join(folder, 'dstack-tdx/event_log.json'), 'utf8');
  const source = `real quotes ${inputs.map(({ name }) => name).join(', ')}`;
  return { inputs, trustAnchors: undefined, source, events: parsed(eventLog), eventLog };
}

function mintedInputs(): VerifyInputs {
  const platforms = [new TestPlatform(), new TestPlatform(), new TestPlatform()];
  const inputs = platforms.map((platform, i) => ({
    name: `minted-${i + 1}`,
    quote: platform.quote({ version: i === 0 ? 5 : 4 }),
    collateral: platform.collateral(),
    now: TEST_NOW,
  }));
  const trustAnchors = platforms.map(({ trustAnchor }) => trustAnchor);
  const list = Array.from({ length: EVENTS }, (_, i) => ({
    imr: i < 24 ? i % 3 : 3,
    event_type: i < 24 ? 4 : 0x08000001,
    digest: i < 24 ? i.toString(16).padStart(2, '0').repeat(48) : '',
    event: `event-${i}`,
    event_payload: 'ab'.repeat(32),
  }));
  const eventLog = JSON.stringify(list);
  return { inputs, trustAnchors, source: 'minted quotes (no vectors)', events: parsed(eventLog), eventLog };
}

function parsed(eventLog: string): readonly TdxEvent[] {
  const result = parseEventLog(eventLog);
  if (!result.ok) throw new Error(result.failed.detail);
  return result.events;
}
