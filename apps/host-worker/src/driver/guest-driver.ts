import type { DesiredGuest } from '@vouch/domain';

/** What a guest is made from: the desired entry without the wish. */
export type GuestSpec = Omit<DesiredGuest, 'desired'>;

/** One start of a guest. The id is random, written to the journal before anything is started, and names this start only. */
export interface Launch {
  /** 32 hex digits. */
  readonly id: string;
  readonly spec: GuestSpec;
}

/**
 * `absent`: this launch was never started (or nothing of it is left to tell). `ended`: it ran and is over; `isFinal`
 * when starting it again unchanged cannot help.
 */
export type GuestStatus =
  | { readonly state: 'absent' }
  | { readonly state: 'running' }
  | { readonly state: 'ended'; readonly exitCode: number | null; readonly reason: string; readonly isFinal: boolean };

/** Where the worker finds what belongs to a guest on this machine. */
export interface GuestPlaces {
  /** Unix socket the worker serves the host API on. (A VM driver maps the guest's vsock to it.) */
  readonly hostSocket: string;
  /** Text logs the worker ships, by source name. */
  readonly logs: Readonly<Record<'app' | 'agent', string>>;
}

/**
 * What the reconciler asks of a way to run guests. Calls for one instance never overlap; calls for different instances
 * do. Every call is idempotent, because the worker may be killed between the call and its journal entry: the driver, not
 * the worker's memory, knows what runs. Errors carry `retryable`; one that says false ends the attempts.
 *
 * A guest must outlive the worker: nothing started here may depend on the worker's process.
 */
export interface GuestDriver {
  readonly name: 'process' | 'qemu';
  /** Names of the development-only weakenings a guest of this driver has, for its events. */
  readonly unsafe: readonly string[];

  /** os_image_hash of what a launch would boot now, 64 hex digits. */
  osImageHash(): Promise<string>;

  places(instanceId: string): GuestPlaces;

  /** Writes the shared files and sets up the trust domain for this launch. Nothing runs yet. */
  prepare(launch: Launch): Promise<void>;

  /** Starts the prepared launch, after making sure that no other start of this instance runs. No-op when it runs. */
  launch(launch: Launch): Promise<void>;

  /** How the launch stands, also when another worker process started it. */
  status(launch: Launch): Promise<GuestStatus>;

  /** Asks the guest to end, and after `graceMs` kills all of it. Resolves when nothing of the instance runs any more. */
  stop(instanceId: string, options: { readonly graceMs: number }): Promise<void>;

  /** Deletes everything of a stopped guest: trust domain, disk, folder. */
  remove(instanceId: string): Promise<void>;

  /** Calls back soon after a guest of this host may have ended; a false alarm is harmless. */
  onChange(listener: (instanceId: string) => void): void;

  close(): void;
}
