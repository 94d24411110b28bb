import { Refusal } from '../refusal.js';

/**
 * The exact text of a member of a JSON object: what a signature over an embedded document is taken over. Parsing and
 * printing it again would change bytes, so the value is cut out of the text. The text must be one JSON object.
 * @throws Refusal `COLLATERAL_FORMAT` when the text is not an object or the member is missing or stands twice
 */
export function exactMember(text: string, name: string): string {
  const found = topLevelMembers(text).filter((member) => member.name === name);
  const [member] = found;
  if (member === undefined || found.length !== 1) {
    throw new Refusal('COLLATERAL_FORMAT', `the response has ${found.length} members named ${name}, not one`);
  }
  return text.slice(member.start, member.end);
}

interface Member {
  readonly name: string;
  readonly start: number;
  readonly end: number;
}

function topLevelMembers(text: string): readonly Member[] {
  parseJson(text);
  // The text is valid JSON from here on, so that only strings and nesting need to be followed.
  const members: Member[] = [];
  let at = skipSpace(text, 0);
  if (text[at] !== '{') throw new Refusal('COLLATERAL_FORMAT', 'the response is not a JSON object');
  at = skipSpace(text, at + 1);
  while (text[at] === '"') {
    const nameEnd = endOfString(text, at);
    const start = skipSpace(text, skipSpace(text, nameEnd) + 1);
    const end = endOfValue(text, start);
    members.push({ name: String(parseJson(text.slice(at, nameEnd))), start, end });
    at = skipSpace(text, end);
    if (text[at] === ',') at = skipSpace(text, at + 1);
  }
  return members;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Refusal('COLLATERAL_FORMAT', 'the response is not JSON');
  }
}

function skipSpace(text: string, from: number): number {
  let at = from;
  while (at < text.length && ' \t\r\n'.includes(text.charAt(at))) at += 1;
  return at;
}

/** `from` is at the opening quote; returns the position behind the closing one. */
function endOfString(text: string, from: number): number {
  let at = from + 1;
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return at + 1;
}

/** Position behind the value that starts at `from`, without trailing space. */
function endOfValue(text: string, from: number): number {
  let depth = 0;
  let at = from;
  while (at < text.length) {
    const char = text.charAt(at);
    if (char === '"') {
      at = endOfString(text, at);
    } else if ('{['.includes(char)) {
      depth += 1;
      at += 1;
    } else if ('}]'.includes(char)) {
      if (depth === 0) break;
      depth -= 1;
      at += 1;
    } else if (depth === 0 && ', \t\r\n'.includes(char)) {
      break;
    } else {
      at += 1;
      continue;
    }
    if (depth === 0) break;
  }
  return at;
}
