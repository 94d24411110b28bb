import type { MessageType, MessageValue } from './message-type.js';

/** An answer, and secrets in it that are overwritten once it has been written out. */
interface Answer<O extends MessageType> {
  readonly value: MessageValue<O>;
  readonly secrets?: readonly Uint8Array[];
}

/** One method: its messages and what it does. `Caller` is what the transport knows of who calls. */
export interface Method<Caller, I extends MessageType = MessageType, O extends MessageType = MessageType> {
  /** `KMS`, `Admin` or `Onboard`: the prefix that may stand before the name. */
  readonly service: string;
  readonly input: I;
  readonly output: O;
  /** Throws PrpcError for a refusal. */
  readonly call: (input: MessageValue<I>, caller: Caller) => Promise<Answer<O>>;
}

/** Methods by name, whatever their messages. */
export type PrpcService<Caller> = ReadonlyMap<string, Method<Caller>>;

/** Keeps a method's message types together while it is checked, then forgets them. */
export function method<Caller, I extends MessageType, O extends MessageType>(
  definition: Method<Caller, I, O>,
): Method<Caller> {
  return definition as unknown as Method<Caller>;
}

/** Finds `GetMeta` or `KMS.GetMeta`; undefined when there is none, or the prefix is another service's. */
export function findMethod<Caller>(
  service: PrpcService<Caller>,
  path: string,
): { readonly name: string; readonly method: Method<Caller> } | undefined {
  const dot = path.indexOf('.');
  const name = path.slice(dot + 1);
  const found = service.get(name);
  if (found === undefined || (dot >= 0 && path.slice(0, dot) !== found.service)) return undefined;
  return { name, method: found };
}
