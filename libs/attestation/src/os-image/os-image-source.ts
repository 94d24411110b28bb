import type { TdxImage } from '../tdx-image/measure-image.js';

/** The measured files of an OS image, proven to belong to its os_image_hash, and what its metadata says of it. */
export interface OsImageFiles {
  readonly image: TdxImage;
  /** Null when the metadata does not say. */
  readonly version: string | null;
  readonly isDev: boolean | null;
}

/** Where the files of OS images come from. */
export interface OsImageSource {
  /** @throws OsImageUnavailableError. The hash is 64 lower-case hex digits. */
  imageFor(osImageHash: string): Promise<OsImageFiles>;
}

/** The files of an OS image could not be had, or what came is not that image. */
export class OsImageUnavailableError extends Error {
  readonly code = 'OS_IMAGE_UNAVAILABLE';
  constructor(
    message: string,
    /** Whether asking again later can help. */
    readonly retryable: boolean,
    options?: { cause?: unknown },
  ) {
    super(message, options);
    this.name = 'OsImageUnavailableError';
  }
}
