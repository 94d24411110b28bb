/** GUID text to its 16 bytes in mixed-endian order: the first three groups little-endian (UEFI specification, EFI_GUID). */
export function guidBytes(text: string): Uint8Array {
  const groups = text.split('-').map((group) => Buffer.from(group, 'hex'));
  return new Uint8Array(Buffer.concat(groups.map((group, i) => (i < 3 ? group.toReversed() : group))));
}
