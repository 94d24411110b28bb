import type { QuoteCollateralV3 } from '../collateral/quote-collateral.js';

/** A seeded source of choices: the same seed makes the same inputs. */
export class Dice {
  private state: number;

  /** @param seed unsigned 32 bits */
  constructor(seed: number) {
    this.state = seed >>> 0;
  }

  /** A whole number from 0 to `bound` - 1 (mulberry32). */
  below(bound: number): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let mixed = this.state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % bound;
  }

  oneOf<T>(list: readonly T[]): T {
    const choice = list[this.below(list.length)];
    if (choice === undefined) throw new RangeError('nothing to choose from');
    return choice;
  }
}

/** Values that lengths and counters go wrong at. */
const EXTREMES = [
  0, 1, 2, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff,
];
/** Where the quote versions keep versions, types and lengths. */
const STRUCTURE = [
  0, 2, 4, 12, 48, 50, 432, 632, 702, 764, 766, 834, 836, 1012, 1046, 1048, 1218, 1252, 1254, 1288, 1322, 1324,
];

type BytesEdit = (bytes: Uint8Array, dice: Dice, donors: readonly Uint8Array[]) => Uint8Array;

const bytesEdits: readonly BytesEdit[] = [
  (bytes, dice) => setByte(bytes, dice.below(bytes.length), (byte) => byte ^ (1 << dice.below(8))),
  (bytes, dice) => setByte(bytes, dice.below(bytes.length), () => dice.below(256)),
  (bytes, dice) => setInteger(bytes, dice.oneOf(STRUCTURE), dice),
  (bytes, dice) => setInteger(bytes, dice.below(bytes.length), dice),
  (bytes, dice) => bytes.slice(0, dice.below(bytes.length + 1)),
  (bytes, dice) => bytes.slice(0, bytes.length - Math.min(bytes.length, dice.below(8))),
  (bytes, dice) => joined(bytes, randomBytes(dice, 1 + dice.below(300))),
  (bytes, dice) => {
    const at = dice.below(bytes.length + 1);
    return joined(bytes.subarray(0, at), randomBytes(dice, 1 + dice.below(40)), bytes.subarray(at));
  },
  (bytes, dice) => {
    const at = dice.below(bytes.length + 1);
    return joined(bytes.subarray(0, at), bytes.subarray(at + 1 + dice.below(80)));
  },
  (bytes, dice) => {
    const copy = bytes.slice();
    const [from, to] = [dice.below(copy.length), dice.below(copy.length)];
    copy.copyWithin(to, from, from + 1 + dice.below(500));
    return copy;
  },
  // Everything behind, or a stretch in the middle, from another quote.
  (bytes, dice, donors) => {
    const at = dice.below(bytes.length + 1);
    return joined(bytes.subarray(0, at), dice.oneOf(donors).subarray(at));
  },
  (bytes, dice, donors) => {
    const copy = bytes.slice();
    const start = dice.below(copy.length);
    const donor = dice.oneOf(donors).subarray(start, Math.min(copy.length, start + 1 + dice.below(700)));
    copy.set(donor, start);
    return copy;
  },
  (bytes, dice) => {
    const copy = bytes.slice();
    const start = dice.below(copy.length);
    return copy.fill(dice.oneOf([0, 0x30, 0xff]), start, start + 1 + dice.below(200));
  },
];

/** One to three random edits; `donors` are other quotes to take pieces from. Never the bytes given. */
export function mutateBytes(bytes: Uint8Array, dice: Dice, donors: readonly Uint8Array[]): Uint8Array {
  let edited = bytes;
  for (let left = 1 + dice.below(3); left > 0; left -= 1) {
    if (edited.length > 0) edited = dice.oneOf(bytesEdits)(edited, dice, donors);
  }
  return edited;
}

type TextEdit = (text: string, dice: Dice) => string;

const WORDS = [
  '',
  ' ',
  '\n',
  '\0',
  '"',
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  '0',
  '-1',
  '1e999',
  'null',
  'true',
  '\\u0000',
  '\ud800',
  'é',
  '=',
  '-----BEGIN CERTIFICATE-----',
  '-----END CERTIFICATE-----',
];

const textEdits: readonly TextEdit[] = [
  (text, dice) => splice(text, dice.below(text.length + 1), 1, String.fromCharCode(dice.below(128))),
  (text, dice) => splice(text, dice.below(text.length + 1), 0, dice.oneOf(WORDS)),
  (text, dice) => splice(text, dice.below(text.length + 1), 1 + dice.below(60), dice.oneOf(WORDS)),
  (text, dice) => text.slice(0, dice.below(text.length + 1)),
  (text, dice) => {
    const [from, to] = [dice.below(text.length + 1), dice.below(text.length + 1)];
    return splice(text, to, 0, text.slice(from, from + dice.below(400)));
  },
  // A number of a JSON text becomes another one.
  (text, dice) => {
    const numbers = [...text.matchAll(/\d+/g)];
    if (numbers.length === 0) return text;
    const found = dice.oneOf(numbers);
    return splice(text, found.index, found[0].length, `${dice.oneOf(EXTREMES)}`);
  },
  (text, dice) => splice(text, dice.below(text.length + 1), 0, '['.repeat(1 + dice.below(5000))),
  (text) => text.toUpperCase(),
];

/** One or two random edits of text. */
export function mutateText(text: string, dice: Dice): string {
  let edited = text;
  for (let left = 1 + dice.below(2); left > 0; left -= 1) edited = dice.oneOf(textEdits)(edited, dice);
  return edited;
}

/** Collateral with one or two fields edited, exchanged, left out, or taken from another set. */
export function mutateCollateral(
  collateral: QuoteCollateralV3,
  dice: Dice,
  donors: readonly QuoteCollateralV3[],
): QuoteCollateralV3 {
  const edited: Record<string, string> = { ...collateral };
  const names = Object.keys(collateral);
  for (let left = 1 + dice.below(2); left > 0; left -= 1) {
    const name = dice.oneOf(names);
    const kind = dice.below(10);
    if (kind === 0) delete edited[name];
    else if (kind === 1) edited[name] = edited[dice.oneOf(names)] ?? '';
    else if (kind === 2) edited[name] = { ...dice.oneOf(donors) }[name as keyof QuoteCollateralV3] ?? '';
    else edited[name] = mutateText(edited[name] ?? '', dice);
  }
  return edited as unknown as QuoteCollateralV3;
}

function setByte(bytes: Uint8Array, at: number, change: (byte: number) => number): Uint8Array {
  const copy = bytes.slice();
  copy[at] = change(copy[at] ?? 0);
  return copy;
}

/** Writes an extreme as 1, 2 or 4 bytes, in either order. */
function setInteger(bytes: Uint8Array, at: number, dice: Dice): Uint8Array {
  const copy = bytes.slice();
  const value = dice.oneOf(EXTREMES);
  const sizeBytes = dice.oneOf([1, 2, 4]);
  const bigEndian = dice.below(4) === 0;
  for (let i = 0; i < sizeBytes && at + i < copy.length; i += 1) {
    copy[at + i] = (value >>> (8 * (bigEndian ? sizeBytes - 1 - i : i))) & 0xff;
  }
  return copy;
}

function randomBytes(dice: Dice, count: number): Uint8Array {
  return Uint8Array.from({ length: count }, () => dice.below(256));
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

function splice(text: string, at: number, remove: number, insert: string): string {
  return text.slice(0, at) + insert + text.slice(at + remove);
}
