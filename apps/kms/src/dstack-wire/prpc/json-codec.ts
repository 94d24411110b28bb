import type { AnyMessageValue, Field, MessageType, MessageValue } from './message-type.js';
import { PrpcError } from './prpc-error.js';

const HEX = /^([0-9a-fA-F]{2})*$/;

/** JSON text of a message: wire names, bytes as lower-case hex, absent optional fields as null. */
export function encodeJson<M extends MessageType>(type: M, value: MessageValue<M>): string {
  return JSON.stringify(toJson(type, value));
}

/**
 * Reads a message from JSON text: every field that is not optional must be there, unknown ones are ignored, hex without 0x.
 * A message without fields takes anything, nothing included. Throws PrpcError naming the field.
 */
export function decodeJson<M extends MessageType>(type: M, text: string): MessageValue<M> {
  if (Object.keys(type.fields).length === 0) return {} as MessageValue<M>;
  let json: unknown;
  try {
    json = text === '' ? null : JSON.parse(text);
  } catch (cause) {
    throw new PrpcError(`failed to decode ${type.name}: not JSON`, false, { cause });
  }
  return fromJson(type, json, type.name) as MessageValue<M>;
}

function toJson(type: MessageType, value: AnyMessageValue): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(type.fields).map(([name, field]) => {
      const held = value[name];
      if (field.cardinality === 'repeated') return [name, (held as unknown[]).map((item) => jsonOf(field, item))];
      return [name, held === undefined ? null : jsonOf(field, held)];
    }),
  );
}

function jsonOf({ kind }: Field, value: unknown): unknown {
  if (typeof kind === 'object') return toJson(kind, value as AnyMessageValue);
  return kind === 'bytes' ? Buffer.from(value as Uint8Array).toString('hex') : value;
}

function fromJson(type: MessageType, json: unknown, path: string): AnyMessageValue {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw refuse(path, 'must be an object');
  const held = json as Readonly<Record<string, unknown>>;
  return Object.fromEntries(
    Object.entries(type.fields).map(([name, field]) => {
      const at = `${path}.${name}`;
      const value = Object.hasOwn(held, name) ? held[name] : undefined;
      if (field.cardinality === 'optional') return [name, value == null ? undefined : fieldValue(field, value, at)];
      if (value === undefined) throw refuse(at, 'is missing');
      if (field.cardinality === 'required') return [name, fieldValue(field, value, at)];
      if (!Array.isArray(value)) throw refuse(at, 'must be an array');
      return [name, value.map((item, index) => fieldValue(field, item, `${at}[${index}]`))];
    }),
  );
}

function fieldValue({ kind }: Field, value: unknown, path: string): unknown {
  if (typeof kind === 'object') return fromJson(kind, value, path);
  switch (kind) {
    case 'string':
      if (typeof value !== 'string') throw refuse(path, 'must be a string');
      return value;
    case 'bytes':
      if (typeof value !== 'string' || !HEX.test(value)) throw refuse(path, 'must be hex, without 0x');
      return new Uint8Array(Buffer.from(value, 'hex'));
    case 'bool':
      if (typeof value !== 'boolean') throw refuse(path, 'must be true or false');
      return value;
    default: {
      const limit = kind === 'uint32' ? 0xffff_ffff : Number.MAX_SAFE_INTEGER;
      if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > limit) {
        throw refuse(path, `must be a number from 0 to ${limit}`);
      }
      return value;
    }
  }
}

function refuse(path: string, why: string): PrpcError {
  return new PrpcError(`failed to decode ${path}: ${why}`);
}
