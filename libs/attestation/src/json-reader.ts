import { fromHex } from './bytes.js';
import { Refusal } from './refusal.js';

/** Reads outside JSON value by value; every error names the path of the field and what was wrong with it. */
export class JsonReader {
  /** @param name of the whole document, or the member or index within `parent` */
  constructor(
    private readonly value: unknown,
    private readonly name: string | number,
    private readonly code: string,
    private readonly parent: JsonReader | null = null,
  ) {}

  /** Where the value stands; worded only when an error needs it. */
  get path(): string {
    if (this.parent === null) return `${this.name}`;
    return typeof this.name === 'number' ? `${this.parent.path}[${this.name}]` : `${this.parent.path}.${this.name}`;
  }

  member(name: string): JsonReader {
    const found = this.optional(name);
    if (found === undefined) throw this.refuse(`has no ${name}`);
    return found;
  }

  /** Undefined when the member is absent. */
  optional(name: string): JsonReader | undefined {
    if (typeof this.value !== 'object' || this.value === null || Array.isArray(this.value)) {
      throw this.refuse('is not an object');
    }
    if (!Object.hasOwn(this.value, name)) return undefined;
    const found: unknown = Reflect.get(this.value, name);
    return new JsonReader(found, name, this.code, this);
  }

  get isNull(): boolean {
    return this.value === null;
  }

  /** Names of an object's members. */
  members(): readonly string[] {
    if (typeof this.value !== 'object' || this.value === null || Array.isArray(this.value)) {
      throw this.refuse('is not an object');
    }
    return Object.keys(this.value);
  }

  get isArray(): boolean {
    return Array.isArray(this.value);
  }

  get isTrue(): boolean {
    return this.value === true;
  }

  get isEmptyText(): boolean {
    return this.value === '';
  }

  /** A string as it stands; an array or object, which some tools send instead of its text, as JSON. */
  text(): string {
    if (typeof this.value === 'object' && this.value !== null) return JSON.stringify(this.value);
    return this.string();
  }

  array(maxLength: number): readonly JsonReader[] {
    if (!Array.isArray(this.value)) throw this.refuse('is not an array');
    if (this.value.length > maxLength) throw this.refuse(`has more than ${maxLength} entries`);
    return this.value.map((entry: unknown, index) => new JsonReader(entry, index, this.code, this));
  }

  /** The integer member `name` of each of exactly `count` entries. */
  integersOf(name: string, count: number, min: number, max: number): readonly number[] {
    const entries: readonly unknown[] = Array.isArray(this.value) ? this.value : [];
    const values: number[] = [];
    for (const entry of entries) {
      const value: unknown =
        typeof entry === 'object' && entry !== null && Object.hasOwn(entry, name)
          ? Reflect.get(entry, name)
          : undefined;
      if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max) break;
      values.push(value);
    }
    if (values.length === count && entries.length === count) return values;
    // Again, slowly, to word what is wrong.
    const list = this.array(count);
    if (list.length !== count) throw this.refuse(`has ${list.length} entries, not ${count}`);
    return list.map((entry) => entry.member(name).integer(min, max));
  }

  boolean(): boolean {
    if (typeof this.value !== 'boolean') throw this.refuse('is not a boolean');
    return this.value;
  }

  string(): string {
    if (typeof this.value !== 'string') throw this.refuse('is not a string');
    return this.value;
  }

  integer(min: number, max: number): number {
    const value = this.value;
    if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max) {
      throw this.refuse(`is not an integer from ${min} to ${max}`);
    }
    return value;
  }

  /** Hex of either case, of exactly `sizeBytes` bytes when given. */
  hex(sizeBytes?: number): Uint8Array {
    const bytes = fromHex(this.string(), sizeBytes);
    if (bytes === undefined)
      throw this.refuse(sizeBytes === undefined ? 'is not hex' : `is not hex of ${sizeBytes} bytes`);
    return bytes;
  }

  /** ISO 8601 UTC time to the second, as Intel writes it. */
  time(): Date {
    const text = this.string();
    const ms = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/.test(text) ? Date.parse(text) : Number.NaN;
    if (Number.isNaN(ms)) throw this.refuse('is not an ISO 8601 UTC time');
    return new Date(ms);
  }

  refuse(what: string): Refusal {
    return new Refusal(this.code, `${this.path} ${what}`);
  }
}

/** @throws Refusal with `code` when the text is not JSON. */
export function readJson(text: string, path: string, code: string): JsonReader {
  try {
    return new JsonReader(JSON.parse(text), path, code);
  } catch (error) {
    if (error instanceof SyntaxError) throw new Refusal(code, `${path} is not JSON`);
    throw error;
  }
}
