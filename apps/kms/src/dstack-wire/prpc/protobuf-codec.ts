import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import type { AnyMessageValue, Field, MessageType, MessageValue } from './message-type.js';
import { PrpcError } from './prpc-error.js';

/** Protobuf bytes of a message; zero values are left out, as proto3 does. */
export function encodeProtobuf<M extends MessageType>(type: M, value: MessageValue<M>): Uint8Array {
  return writeMessage(new BinaryWriter(), type, value).finish();
}

/** Reads a message: unknown fields are skipped, absent ones are zero, the last of several wins. Throws PrpcError. */
export function decodeProtobuf<M extends MessageType>(type: M, bytes: Uint8Array): MessageValue<M> {
  try {
    return readMessage(type, bytes) as MessageValue<M>;
  } catch (error) {
    if (error instanceof PrpcError) throw error;
    throw malformed(type, (error as Error).message, error);
  }
}

function writeMessage(writer: BinaryWriter, type: MessageType, value: AnyMessageValue): BinaryWriter {
  for (const [name, field] of Object.entries(type.fields)) {
    const held = value[name];
    if (field.cardinality === 'repeated')
      for (const item of held as readonly unknown[]) writeField(writer, field, item);
    else if (field.cardinality === 'optional' ? held !== undefined : !isZero(held)) writeField(writer, field, held);
  }
  return writer;
}

function writeField(writer: BinaryWriter, { kind, number }: Field, value: unknown): void {
  if (typeof kind === 'object') {
    writeMessage(writer.tag(number, WireType.LengthDelimited).fork(), kind, value as AnyMessageValue).join();
    return;
  }
  switch (kind) {
    case 'string':
      writer.tag(number, WireType.LengthDelimited).string(value as string);
      return;
    case 'bytes':
      writer.tag(number, WireType.LengthDelimited).bytes(value as Uint8Array);
      return;
    case 'uint32':
      writer.tag(number, WireType.Varint).uint32(value as number);
      return;
    case 'uint64':
      writer.tag(number, WireType.Varint).uint64(value as number);
      return;
    case 'bool':
      writer.tag(number, WireType.Varint).bool(value as boolean);
  }
}

function isZero(value: unknown): boolean {
  return value instanceof Uint8Array ? value.length === 0 : value === '' || value === 0 || value === false;
}

function readMessage(type: MessageType, bytes: Uint8Array): AnyMessageValue {
  const reader = new BinaryReader(bytes);
  const value: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(type.fields)) value[name] = emptyValue(field);
  const byNumber = new Map(Object.entries(type.fields).map(([name, field]) => [field.number, { name, field }]));
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    const known = byNumber.get(number);
    if (known === undefined) {
      reader.skip(wireType, number);
      continue;
    }
    const { name, field } = known;
    if (wireType !== wireTypeOf(field)) throw malformed(type, `field ${name} has the wrong wire type`);
    const item = readField(reader, field, type);
    value[name] = field.cardinality === 'repeated' ? [...(value[name] as unknown[]), item] : item;
  }
  return value;
}

function readField(reader: BinaryReader, { kind }: Field, type: MessageType): unknown {
  if (typeof kind === 'object') return readMessage(kind, reader.bytes());
  switch (kind) {
    case 'string':
      return reader.string(true);
    case 'bytes':
      return reader.bytes();
    case 'uint32':
      return reader.uint32();
    case 'uint64': {
      const number = Number(reader.uint64());
      if (!Number.isSafeInteger(number)) throw malformed(type, 'a number is out of range');
      return number;
    }
    case 'bool':
      return reader.bool();
  }
}

function wireTypeOf({ kind }: Field): WireType {
  return typeof kind === 'object' || kind === 'string' || kind === 'bytes' ? WireType.LengthDelimited : WireType.Varint;
}

function emptyValue({ kind, cardinality }: Field): unknown {
  if (cardinality === 'repeated') return [];
  if (cardinality === 'optional') return undefined;
  if (typeof kind === 'object') return readMessage(kind, new Uint8Array());
  return { string: '', bytes: new Uint8Array(), uint32: 0, uint64: 0, bool: false }[kind];
}

function malformed(type: MessageType, why: string, cause?: unknown): PrpcError {
  return new PrpcError(`failed to decode ${type.name}: ${why}`, false, { cause });
}
