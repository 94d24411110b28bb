/** One change of a bucket. `value` is undefined when the key was deleted. */
export interface BucketChange {
  readonly key: string;
  readonly value: string | undefined;
  /** When the server stored it. */
  readonly storedAt: Date;
  /** False for what was there when the watch began, true for what came since. */
  readonly isUpdate: boolean;
}

/** What control-api needs of a NATS key-value bucket. Values are UTF-8 text. */
export interface KeyValueBucket {
  /** Stores the key if it holds no value; false when it does. Throws when the server gives no clear answer. */
  create(key: string, value: string): Promise<boolean>;
  put(key: string, value: string): Promise<void>;
  get(key: string): Promise<string | undefined>;
  /** Removes the key; harmless when it holds nothing. */
  delete(key: string): Promise<void>;
  /**
   * The present content, then 'current' once, then changes as they come, until `signal` aborts. May end by itself when
   * the connection is lost: watch again.
   */
  watch(signal: AbortSignal): AsyncIterable<BucketChange | 'current'>;
}
