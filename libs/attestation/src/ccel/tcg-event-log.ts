import { ByteSource } from '../encodings/byte-source.js';
import { type Decoded, decode } from '../encodings/decoded.js';
import type { Refusal } from '../refusal.js';

/** TCG algorithm identifiers with their digest sizes in bytes. */
export const TCG_ALGORITHMS = { sha1: 0x0004, sha256: 0x000b, sha384: 0x000c, sha512: 0x000d } as const;

/** One event of a crypto-agile log. */
export interface TcgEvent {
  /** Register as the log numbers it: PCR, or in a CCEL the RTMR plus one (0 is MRTD). */
  readonly registerIndex: number;
  /** Unsigned 32 bits. */
  readonly eventType: number;
  /** By TCG algorithm id; views of the input. */
  readonly digests: ReadonlyMap<number, Uint8Array>;
  /** Event data: a view. Only the digests are measured; what the data says is not authenticated. */
  readonly data: Uint8Array;
}

export interface TcgEventLog {
  /** Digest size in bytes by algorithm id, as the header declares. */
  readonly algorithms: ReadonlyMap<number, number>;
  /** Events after the header. */
  readonly events: readonly TcgEvent[];
  /** Bytes used by header and events; the rest is filling. */
  readonly usedBytes: number;
}

const LIMITS = { bytes: 4 * 1024 * 1024, events: 4096, algorithms: 8, digestBytes: 64 } as const;

/** EV_NO_ACTION: not extended into any register. */
export const EV_NO_ACTION = 3;
/** Header event: TCG_PCClientPCREvent with a SHA-1 field of zeros. */
const HEADER_DIGEST_BYTES = 20;
const SIGNATURE = 'Spec ID Event03\0';
const FILLING = 0xffff_ffff;

/**
 * Parses a raw TCG log: the Spec ID Event03 header and crypto-agile events (TCG PC Client Platform Firmware Profile §10),
 * as TDVF leaves it in the CCEL area and vTPMs hand it out. It ends at the end of the input or at filling (FF… or 00…). At
 * most 4 MiB and 4096 events. Check `ccel.format`; code `CCEL_FORMAT`.
 */
export function parseTcgEventLog(bytes: Uint8Array): Decoded<TcgEventLog> {
  return decode(
    'ccel.format',
    () => readTcgEventLog(bytes),
    ({ events, usedBytes }) => `${events.length} events in ${usedBytes} bytes`,
  );
}

/** @throws Refusal `CCEL_FORMAT` */
export function readTcgEventLog(bytes: Uint8Array): TcgEventLog {
  const source = new ByteSource(bytes, 'CCEL_FORMAT');
  if (bytes.length > LIMITS.bytes) throw source.refuse(`the log has more than ${LIMITS.bytes} bytes`);
  const algorithms = readHeader(source);
  const events: TcgEvent[] = [];
  while (source.remaining > 0 && !isFilling(bytes, source.offset)) {
    if (events.length === LIMITS.events) throw source.refuse(`the log has more than ${LIMITS.events} events`);
    events.push(readEvent(source, algorithms, `event ${events.length}`));
  }
  return { algorithms, events, usedBytes: source.offset };
}

function readHeader(source: ByteSource): ReadonlyMap<number, number> {
  source.u32('header register');
  if (source.u32('header type') !== EV_NO_ACTION) throw source.refuse('the log does not start with EV_NO_ACTION', 4);
  source.take(HEADER_DIGEST_BYTES, 'header digest');
  const sizeBytes = source.u32('header size');
  const end = source.offset + sizeBytes;
  if (Buffer.from(source.take(SIGNATURE.length, 'signature')).toString('latin1') !== SIGNATURE) {
    throw source.refuse('the header is not Spec ID Event03', source.offset - SIGNATURE.length);
  }
  source.u32('platform class');
  source.u32('specification version and size of integers');
  const count = source.u32('number of algorithms');
  if (count === 0 || count > LIMITS.algorithms) throw source.refuse(`the header lists ${count} algorithms`);
  const algorithms = new Map<number, number>();
  for (let i = 0; i < count; i++) addAlgorithm(source, algorithms);
  source.take(source.u8('vendor size'), 'vendor data');
  if (source.offset !== end) throw source.refuse(`the header is ${sizeBytes} bytes by its size, not by its content`);
  return algorithms;
}

function addAlgorithm(source: ByteSource, algorithms: Map<number, number>): void {
  const id = source.u16('algorithm');
  const sizeBytes = source.u16('digest size');
  if (algorithms.has(id)) throw source.refuse(`algorithm ${id} is listed twice`);
  if (sizeBytes === 0 || sizeBytes > LIMITS.digestBytes) throw source.refuse(`algorithm ${id} has ${sizeBytes} bytes`);
  algorithms.set(id, sizeBytes);
}

function readEvent(source: ByteSource, algorithms: ReadonlyMap<number, number>, field: string): TcgEvent {
  const registerIndex = source.u32(`${field} register`);
  const eventType = source.u32(`${field} type`);
  const count = source.u32(`${field} digest count`);
  if (count > algorithms.size) throw source.refuse(`${field} has ${count} digests, ${algorithms.size} are declared`);
  const digests = new Map<number, Uint8Array>();
  for (let i = 0; i < count; i++) {
    const id = source.u16(`${field} algorithm`);
    const sizeBytes = algorithms.get(id);
    if (sizeBytes === undefined || digests.has(id)) throw unexpected(source, field, id);
    digests.set(id, source.take(sizeBytes, `${field} digest`));
  }
  return { registerIndex, eventType, digests, data: source.take(source.u32(`${field} size`), `${field} data`) };
}

function unexpected(source: ByteSource, field: string, id: number): Refusal {
  return source.refuse(`${field} has a digest of algorithm ${id}, which is not declared or stands twice`);
}

/** Firmware fills the rest of its area with FF, or leaves it zero. A zero word alone is register 0, so all must be zero. */
function isFilling(bytes: Uint8Array, start: number): boolean {
  const rest = bytes.subarray(start);
  if (rest.length < 4) return rest.every((byte) => byte === rest[0] && (byte === 0 || byte === 0xff));
  const first = new DataView(rest.buffer, rest.byteOffset, 4).getUint32(0, true);
  if (first === FILLING) return true;
  return first === 0 && rest.every((byte) => byte === 0);
}
