/** Product lines with SEV-SNP, named as AMD's key distribution service names them. */
export const SNP_PRODUCTS = ['Milan', 'Genoa', 'Turin'] as const;
export type SnpProduct = (typeof SNP_PRODUCTS)[number];

/** CPUID family (extended family added), and model ranges, inclusive. Bergamo and Siena are Genoa to AMD's service. */
const FAMILY = { zen3And4: 0x19, zen5: 0x1a } as const;
const MODELS: readonly {
  readonly family: number;
  readonly from: number;
  readonly to: number;
  readonly product: SnpProduct;
}[] = [
  { family: FAMILY.zen3And4, from: 0x00, to: 0x0f, product: 'Milan' },
  { family: FAMILY.zen3And4, from: 0x10, to: 0x1f, product: 'Genoa' },
  { family: FAMILY.zen3And4, from: 0xa0, to: 0xaf, product: 'Genoa' },
  { family: FAMILY.zen5, from: 0x00, to: 0x11, product: 'Turin' },
];

/** Undefined when no product line is known for this CPU. */
export function productOfCpuid(family: number, model: number): SnpProduct | undefined {
  return MODELS.find((entry) => entry.family === family && model >= entry.from && model <= entry.to)?.product;
}

/** Product line of a certificate's product name such as `Milan-B0`; undefined when it is none of ours. */
export function productOfName(name: string): SnpProduct | undefined {
  const line = name.split('-', 1)[0];
  return SNP_PRODUCTS.find((product) => product === line);
}
