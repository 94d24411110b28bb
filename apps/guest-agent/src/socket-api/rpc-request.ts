import { RpcError } from './rpc-error.js';

/** Fields of a request: JSON body or query string. Missing fields have their type's default, as in protobuf. */
export class RpcRequest {
  constructor(private readonly fields: Readonly<Record<string, unknown>>) {}

  text(name: string): string {
    const value = this.fields[name] ?? '';
    if (typeof value !== 'string') throw new RpcError(`invalid type: ${name} must be a string`);
    return value;
  }

  /** Hex, with an optional leading 0x. */
  bytes(name: string): Uint8Array {
    const text = this.text(name).replace(/^0x/, '');
    if (!/^([0-9a-fA-F]{2})*$/.test(text)) throw new RpcError(`invalid hex: ${name}`);
    return new Uint8Array(Buffer.from(text, 'hex'));
  }

  flag(name: string): boolean {
    const value = this.fields[name] ?? false;
    if (value === 'true' || value === true) return true;
    if (value === 'false' || value === '' || value === false) return false;
    throw new RpcError(`invalid type: ${name} must be a boolean`);
  }

  texts(name: string): string[] {
    const value = this.fields[name] ?? [];
    const list = Array.isArray(value) ? value : [value];
    if (!list.every((entry) => typeof entry === 'string')) {
      throw new RpcError(`invalid type: ${name} must be a list of strings`);
    }
    return list;
  }

  /** Whole number of seconds, or undefined when absent. */
  seconds(name: string): number | undefined {
    const value = this.fields[name];
    if (value === undefined || value === null) return undefined;
    const seconds = typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value;
    if (!Number.isSafeInteger(seconds) || (seconds as number) < 0) {
      throw new RpcError(`invalid type: ${name} must be a number of seconds`);
    }
    return seconds as number;
  }
}
