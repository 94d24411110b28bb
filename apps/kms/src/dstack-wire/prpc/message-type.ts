/** Scalars of dstack's messages. `uint64` is read into a number: times in seconds and chain ids are far below 2^53. */
type ScalarKind = 'string' | 'bytes' | 'uint32' | 'uint64' | 'bool';

/** How often a field is there. `required` is proto3's plain field: always there in JSON, its zero value in protobuf. */
type Cardinality = 'required' | 'optional' | 'repeated';

export interface Field<
  K extends ScalarKind | MessageType = ScalarKind | MessageType,
  C extends Cardinality = Cardinality,
> {
  readonly number: number;
  readonly kind: K;
  readonly cardinality: C;
}

/** A message of the wire: one table from which JSON and protobuf are read and written. Field names are those on the wire. */
export interface MessageType {
  readonly name: string;
  readonly fields: Readonly<Record<string, Field>>;
}

interface Scalars {
  string: string;
  bytes: Uint8Array;
  uint32: number;
  uint64: number;
  bool: boolean;
}

type KindValue<K> = K extends ScalarKind ? Scalars[K] : K extends MessageType ? MessageValue<K> : never;
type FieldValue<T> =
  T extends Field<infer K, infer C>
    ? C extends 'repeated'
      ? readonly KindValue<K>[]
      : C extends 'optional'
        ? KindValue<K> | undefined
        : KindValue<K>
    : never;

/** The value of a message type. Optional fields are present with the value undefined. */
export type MessageValue<M extends MessageType> = { readonly [N in keyof M['fields']]: FieldValue<M['fields'][N]> };

/** Any message's value, for the codecs. */
export type AnyMessageValue = Readonly<Record<string, unknown>>;

export function messageType<const F extends Readonly<Record<string, Field>>>(
  name: string,
  fields: F,
): { readonly name: string; readonly fields: F } {
  return { name, fields };
}

export const required = <const K extends ScalarKind | MessageType>(number: number, kind: K): Field<K, 'required'> => ({
  number,
  kind,
  cardinality: 'required',
});

export const optional = <const K extends ScalarKind | MessageType>(number: number, kind: K): Field<K, 'optional'> => ({
  number,
  kind,
  cardinality: 'optional',
});

export const repeated = <const K extends ScalarKind | MessageType>(number: number, kind: K): Field<K, 'repeated'> => ({
  number,
  kind,
  cardinality: 'repeated',
});
