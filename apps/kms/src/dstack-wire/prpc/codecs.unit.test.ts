import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import protobuf from 'protobufjs';
import { describe, expect, it } from 'vitest';
import { decodeJson, encodeJson } from './json-codec.js';
import * as messages from './kms-messages.js';
import type { AnyMessageValue, Field, MessageType } from './message-type.js';
import { decodeProtobuf, encodeProtobuf } from './protobuf-codec.js';
import { PrpcError } from './prpc-error.js';

const types: MessageType[] = Object.values(messages);
const definitions = protobuf.parse(readFileSync(new URL('./kms-rpc.proto', import.meta.url), 'utf8'), {
  keepCase: true,
}).root;
const independent = ({ name }: MessageType) => definitions.lookupType(`kms.${name}`);

const scalars = {
  string: fc.string(),
  bytes: fc.uint8Array({ maxLength: 40 }),
  uint32: fc.nat(0xffff_ffff),
  uint64: fc.maxSafeNat(),
  bool: fc.boolean(),
} as const;

function arbitrary(type: MessageType): fc.Arbitrary<AnyMessageValue> {
  return fc.record(Object.fromEntries(Object.entries(type.fields).map(([name, field]) => [name, ofField(field)])));
}
function ofField({ kind, cardinality }: Field): fc.Arbitrary<unknown> {
  const one: fc.Arbitrary<unknown> = typeof kind === 'object' ? arbitrary(kind) : scalars[kind];
  if (cardinality === 'repeated') return fc.array(one, { maxLength: 3 });
  return cardinality === 'optional' ? fc.option(one, { nil: undefined }) : one;
}

describe.each(types.map((type) => [type.name, type] as const))('%s', (_name, type) => {
  it('is the message of kms-rpc.proto, field for field', () => {
    const theirs = independent(type).fieldsArray.map(({ id, name, type: kind, repeated, options }) => ({
      ...{ id, name, kind, repeated, isOptional: options?.proto3_optional === true },
    }));
    const ours = Object.entries(type.fields).map(([name, { number: id, kind, cardinality }]) => ({
      ...{ id, name, kind: typeof kind === 'object' ? kind.name : kind },
      ...{ repeated: cardinality === 'repeated', isOptional: cardinality === 'optional' },
    }));
    expect(ours).toEqual(theirs);
  });

  it('has the same bytes as another implementation writes, and reads them', () => {
    const twin = independent(type);
    fc.assert(
      fc.property(arbitrary(type), (value) => {
        const bytes = encodeProtobuf(type, value as never);
        const theirs = twin.decode(bytes);
        expect(Buffer.from(twin.encode(theirs).finish()).toString('hex')).toBe(Buffer.from(bytes).toString('hex'));
        expect(decodeProtobuf(type, bytes)).toEqual(value);
      }),
    );
  });

  it('survives JSON, with the names of the wire', () => {
    fc.assert(
      fc.property(arbitrary(type), (value) => {
        const text = encodeJson(type, value as never);
        expect(Object.keys(JSON.parse(text) as object)).toEqual(Object.keys(type.fields));
        expect(decodeJson(type, text)).toEqual(value);
      }),
    );
  });

  it('refuses bytes and text that are something else, and only that way', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        expectRefusalOrValue(() => decodeProtobuf(type, bytes));
        expectRefusalOrValue(() => decodeJson(type, Buffer.from(bytes).toString('latin1')));
      }),
    );
    fc.assert(fc.property(fc.json(), (text) => expectRefusalOrValue(() => decodeJson(type, text))));
  });
});

function expectRefusalOrValue(read: () => unknown): void {
  try {
    read();
  } catch (error) {
    expect(error).toBeInstanceOf(PrpcError);
  }
}

describe('JSON as dstack has it', () => {
  const { AppId, GetAppKeyRequest, GetMetaResponse, BootstrapResponse, Empty } = messages;

  it('writes bytes as lower-case hex, and reads either case', () => {
    expect(encodeJson(AppId, { app_id: Uint8Array.of(0xab, 0x01) })).toBe('{"app_id":"ab01"}');
    expect(decodeJson(AppId, '{"app_id":"aB01"}')).toEqual({ app_id: Uint8Array.of(0xab, 0x01) });
  });

  it.each([
    ['{"app_id":"0xab"}', /app_id: must be hex/],
    ['{"app_id":"abc"}', /app_id: must be hex/],
    ['{"app_id":[171]}', /app_id: must be hex/],
    ['{}', /app_id: is missing/],
    ['[]', /must be an object/],
    ['', /must be an object/],
    ['{', /not JSON/],
  ])('refuses %s', (text, reason) => {
    expect(() => decodeJson(AppId, text)).toThrow(reason);
  });

  it.each([
    ['{"api_version":-1,"vm_config":""}', /api_version/],
    ['{"api_version":1.5,"vm_config":""}', /api_version/],
    ['{"api_version":4294967296,"vm_config":""}', /api_version/],
    ['{"api_version":"1","vm_config":""}', /api_version/],
    ['{"api_version":1,"vm_config":null}', /vm_config/],
    ['{"api_version":1}', /vm_config: is missing/],
  ])('refuses %s', (text, reason) => {
    expect(() => decodeJson(GetAppKeyRequest, text)).toThrow(reason);
  });

  it('ignores members it does not know, takes nothing for an empty message, and writes absent ones as null', () => {
    expect(decodeJson(GetAppKeyRequest, '{"api_version":1,"vm_config":"","more":[]}')).toEqual({
      ...{ api_version: 1, vm_config: '' },
    });
    for (const text of ['', 'null', '{}', 'nonsense']) expect(decodeJson(Empty, text)).toEqual({});
    const meta = { ca_cert: '', allow_any_upgrade: false, k256_pubkey: new Uint8Array(), is_dev: false } as const;
    const absent = { gateway_app_id: undefined, kms_contract_address: undefined, chain_id: undefined } as const;
    const value = { ...meta, ...absent, bootstrap_info: undefined, app_auth_implementation: undefined };
    expect(JSON.parse(encodeJson(GetMetaResponse, value))).toMatchObject({ bootstrap_info: null, chain_id: null });
    expect(BootstrapResponse.name).toBe('BootstrapResponse');
  });
});

describe('protobuf', () => {
  const { AppId, GetAppKeyRequest } = messages;

  it('skips fields it does not know, and lets the last of several win', () => {
    // Field 9 as a varint, then vm_config twice.
    const bytes = Buffer.from('4805' + '120161' + '120162', 'hex');
    expect(decodeProtobuf(GetAppKeyRequest, bytes)).toEqual({ api_version: 0, vm_config: 'b' });
  });

  it.each([
    ['a field of another wire type', '0805'],
    ['a length behind the end', '0a05ab'],
    ['a tag without a field number', '00'],
  ])('refuses %s', (_what, hex) => {
    expect(() => decodeProtobuf(AppId, Buffer.from(hex, 'hex'))).toThrow(PrpcError);
  });
});
