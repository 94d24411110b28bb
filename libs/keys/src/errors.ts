/** A scalar, public key or signature that is not one of its curve. Never carries the bytes. */
export class InvalidKeyError extends Error {
  readonly code = 'invalid-key';
  readonly retryable = false;
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'InvalidKeyError';
  }
}

/** A root key holder used after {@link RootKeys.wipe}. */
export class KeysWipedError extends Error {
  readonly code = 'keys-wiped';
  readonly retryable = false;
  constructor() {
    super('the root keys were wiped from memory');
    this.name = 'KeysWipedError';
  }
}

/** Sealed bytes that do not open: wrong key or passphrase, other context, or changed bytes. Says no more on purpose. */
export class SealOpenError extends Error {
  readonly code = 'seal-open-failed';
  readonly retryable = false;
  constructor(what: string, options?: ErrorOptions) {
    super(`${what} does not open: wrong key, other context, or changed bytes`, options);
    this.name = 'SealOpenError';
  }
}

/** Opened bytes that do not have the form they must have. Names the field, never its value. */
export class PayloadFormError extends Error {
  readonly code = 'payload-form';
  readonly retryable = false;
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'PayloadFormError';
  }
}
