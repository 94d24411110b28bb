/**
 * The 16 bytes of a GUID as UEFI stores it: the first three groups little-endian, the others as written.
 * @throws RangeError for text that is not a GUID.
 */
export function guidBytes(text: string): Uint8Array {
  const match = /^([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})$/i.exec(text);
  if (match === null) throw new RangeError(`${text} is not a GUID`);
  const [, ...groups] = match;
  return new Uint8Array(
    Buffer.concat(
      groups.map((group, at) => {
        const bytes = Buffer.from(group, 'hex');
        return at < 3 ? bytes.reverse() : bytes;
      }),
    ),
  );
}
