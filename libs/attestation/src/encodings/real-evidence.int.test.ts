import { describe, expect, it } from 'vitest';
import { parseQuote, type TdReport } from '../abi/index.js';
import { toHex } from '../bytes.js';
import { parseCcel, parseTcgEventLog } from '../ccel/index.js';
import { readIdentity } from '../event-log/identity.js';
import { readEventLog } from '../event-log/parse-event-log.js';
import { replayRtmr } from '../event-log/replay.js';
import { replayRuntimePcr } from '../event-log/runtime-event.js';
import type { TdxEvent } from '../event-log/tdx-event.js';
import { deriveMeasurements } from '../measurements/index.js';
import { vectorBytes, vectorsPresent, vectorText } from '../testing/vectors.js';
import { readVersioned } from './read-attestation.js';
import { stripForCertificate, writeAttestation } from './write-attestation.js';

interface CcelEntry {
  readonly file: string;
  readonly usedBytes: number;
  readonly events: number;
  readonly rtmrs: readonly string[];
  readonly matchesQuotes: readonly string[];
}

function report(bytes: Uint8Array): TdReport {
  const parsed = parseQuote(bytes);
  if (!parsed.ok || parsed.quote.report.kind === 'sgx') throw new Error('not a TDX quote');
  return parsed.quote.report;
}

const registers = (td: TdReport): readonly string[] => [td.rtMr0, td.rtMr1, td.rtMr2, td.rtMr3].map(toHex);
const replays = (events: readonly TdxEvent[]): readonly string[] =>
  ([0, 1, 2, 3] as const).map((imr) => toHex(replayRtmr(events, imr)));

const ccel: readonly CcelEntry[] = vectorsPresent
  ? (JSON.parse(vectorText('corpus/eventlogs.json')) as { readonly ccel: readonly CcelEntry[] }).ccel
  : [];

describe.skipIf(!vectorsPresent)('raw CCEL logs of real machines', () => {
  it.each(ccel)('$file', ({ file, usedBytes, events, rtmrs, matchesQuotes }) => {
    const bytes = vectorBytes(`corpus/${file}`);
    const raw = parseTcgEventLog(bytes);
    if (!raw.ok) throw new Error(raw.failed.detail);
    expect([raw.value.events.length, raw.value.usedBytes]).toEqual([events, usedBytes]);
    const parsed = parseCcel(bytes);
    if (!parsed.ok) throw new Error(parsed.failed.detail);
    expect(replays(parsed.value)).toEqual(rtmrs);
    for (const id of matchesQuotes) {
      expect(replays(parsed.value)).toEqual(registers(report(vectorBytes(`corpus/quotes/${id}.bin`))));
    }
    const flipped = bytes.slice();
    flipped[120] = (flipped[120] ?? 0) ^ 1; // inside the first event's digest
    const edited = parseCcel(flipped);
    expect(edited.ok && replays(edited.value)).not.toEqual(rtmrs);
  });
});

describe.skipIf(!vectorsPresent)('R15: the attestation of the published simulator', () => {
  const bytes = vectorsPresent ? vectorBytes('dstack-tdx/attestation.bin') : new Uint8Array();
  const attestation = (): ReturnType<typeof readVersioned> => readVersioned(bytes);
  const platform = () => {
    const found = attestation().platform;
    if (found.kind !== 'tdx') throw new Error(`platform ${found.kind}`);
    return found;
  };

  it('is read to its last byte and written back byte for byte, in both encodings', () => {
    expect(toHex(writeAttestation(attestation()))).toBe(toHex(bytes));
    const asV1 = writeAttestation({ ...attestation(), version: 1 });
    expect(readVersioned(asV1)).toEqual({ ...attestation(), version: 1 });
    expect(attestation().stack.config).toBe(vectorText('dstack-tdx/config.json').trimEnd());
    expect(platform().eventLog).toEqual(readEventLog(vectorText('dstack-tdx/event_log.json')));
  });

  it('replays to all four registers, by the event log and by the runtime events', () => {
    const td = report(platform().quote);
    expect(replays(platform().eventLog)).toEqual(registers(td));
    expect(replayRuntimePcr(attestation().stack.runtimeEvents, 'sha384')).toEqual(td.rtMr3);
    expect(toHex(replayRtmr(platform().eventLog, 3, 'boot-mr-done'))).toBe(
      '161d4d87fecefcad09ed96ba8f901e58eca0f422b8155e2829ef94ce084a757e88c7f4be29df017ed72531e8efb643b7',
    );
    expect(toHex(td.reportData)).toBe(toHex(attestation().stack.reportData));
  });

  it('dropped, swapped, renamed or edited runtime events no longer replay; boot payloads are not bound', () => {
    const { eventLog, quote } = platform();
    const expected = registers(report(quote));
    const first = eventLog.findIndex(({ imr }) => imr === 3);
    const edits: readonly ((event: TdxEvent) => TdxEvent)[] = [
      (event) => ({ ...event, event: `${event.event}x` }),
      (event) => ({ ...event, payload: new Uint8Array([1]) }),
    ];
    for (const edit of edits) {
      const edited = eventLog.map((event, at) => (at === first ? edit(event) : event));
      expect(replays(edited)).not.toEqual(expected);
    }
    expect(replays(eventLog.toSpliced(first, 1))).not.toEqual(expected);
    const [a, b] = [eventLog[first], eventLog[first + 1]];
    if (a === undefined || b === undefined) throw new Error('two runtime events are needed');
    expect(replays(eventLog.toSpliced(first, 2, b, a))).not.toEqual(expected);
    expect(
      replays(eventLog.map((event) => (event.imr === 3 ? event : { ...event, payload: new Uint8Array() }))),
    ).toEqual(expected);
  });

  it('identity and measurements', () => {
    const identity = readIdentity(platform().eventLog);
    expect(identity).toMatchObject({
      appId: '5bb4ff9a3837357f19dc176407a5709c62eb6c56',
      composeHash: 'c143116fef3940e7f776bfc0919c256232ae5338a6e948c96b711e0b2383483a',
      instanceId: '1691ed1b47506cad7d08834668691d88246f5b1f',
      osImageHash: 'e61be43dd1cc6a6f5edefd7c51b608983780839b0000ce60dd99737dcffe09b9',
    });
    const derived = deriveMeasurements(report(platform().quote), identity.keyProviderInfo);
    expect(toHex(derived.mrAggregated)).toBe('85334a62c97d0f8bf82d0245d31b539d17a2d7c258e2a13efc928aaea0e107cb');
    expect(toHex(derived.mrSystem)).toBe('51ea38f8eee6dc72dbae9b74531ae6d6204295d265dabb4e6c34621a2a1a1197');
  });

  it('strips to the 9 runtime and 3 ACPI events, and still replays RTMR 3', () => {
    const stripped = stripForCertificate(attestation());
    if (stripped.platform.kind !== 'tdx') throw new Error();
    expect(stripped.platform.eventLog.map(({ event }) => event).slice(0, 3)).toEqual([
      'acpi-loader',
      'acpi-rsdp',
      'acpi-tables',
    ]);
    expect(stripped.platform.eventLog).toHaveLength(12);
    expect(replayRtmr(stripped.platform.eventLog, 3)).toEqual(report(platform().quote).rtMr3);
  });
});
