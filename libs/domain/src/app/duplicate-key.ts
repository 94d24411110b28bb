/**
 * Finds a member name that occurs twice in one object of a JSON text, as a dotted path; undefined when there is none.
 * JSON parsers disagree about such texts (serde refuses, jq and JSON.parse take the last), so the guest and the control
 * plane could read two different apps out of one hash. `text` must already have passed JSON.parse.
 */
export function duplicateKey(text: string): string | undefined {
  const open: { keys: Set<string> | undefined; key: string; index: number }[] = [];
  let at = 0;
  while (at < text.length) {
    const char = text[at];
    const top = open.at(-1);
    if (char === '"') {
      const end = endOfString(text, at);
      if (top?.keys !== undefined && isMemberName(text, end)) {
        const key = JSON.parse(text.slice(at, end)) as string;
        const path = [...open.slice(0, -1).map(stepOf), key].join('.');
        if (top.keys.has(key)) return path;
        top.keys.add(key);
        top.key = key;
      }
      at = end;
      continue;
    }
    if (char === '{') open.push({ keys: new Set(), key: '', index: 0 });
    else if (char === '[') open.push({ keys: undefined, key: '', index: 0 });
    else if (char === '}' || char === ']') open.pop();
    else if (char === ',' && top !== undefined) top.index += 1;
    at += 1;
  }
  return undefined;
}

function stepOf(frame: { keys: Set<string> | undefined; key: string; index: number }): string {
  return frame.keys === undefined ? String(frame.index) : frame.key;
}

/** Index just past the closing quote of the string that opens at `start`. */
function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return at + 1;
}

function isMemberName(text: string, end: number): boolean {
  let at = end;
  while (at < text.length && ' \t\r\n'.includes(text.charAt(at))) at += 1;
  return text[at] === ':';
}
