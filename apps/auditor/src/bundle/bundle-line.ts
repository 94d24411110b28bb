import { trustFileSchema } from '@vouch/domain';
import { z } from 'zod';

/**
 * An audit bundle: one JSON object per line. The first is the header; then every event of the log from the first on, in
 * order, each followed by the checkpoint that was signed for exactly so many events, if one was.
 */
export const bundleHeaderSchema = z.strictObject({
  vouchBundle: z.literal(1),
  /** Number of events, those the last checkpoint covers. */
  size: z.number().int().positive(),
  /** The fleet's trust file. Whoever verifies brings a copy of their own: this one proves nothing by itself. */
  trust: trustFileSchema,
});

export const bundleLineSchema = z.union([
  z.strictObject({ seq: z.number().int().positive(), event: z.base64() }),
  z.strictObject({ checkpoint: z.string().max(16 * 1024) }),
]);

export type BundleLine = z.infer<typeof bundleLineSchema>;
