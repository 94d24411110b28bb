/** Says in one line what is being done; called at most a few times per server. */
export type Progress = (message: string) => void;

export interface ServerExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A running server process, started by us, listening on 127.0.0.1 only. */
export interface LocalServer {
  /** Connection URL; contains the password where the server has one, so it must not be logged. */
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Graceful stop; resolves when the process is gone. Harmless when it is gone already. */
  stop(): Promise<void>;
  /** SIGKILL, as a crash would do; resolves when the process is gone. */
  kill9(): Promise<void>;
  /** Resolves when the process ends for whatever reason. */
  readonly exited: Promise<ServerExit>;
}

/** What every start function takes. */
export interface LocalServerOptions {
  /** Folder of this one server; made when absent. State, log and the record of the running process lie in it. */
  readonly dataDir: string;
  /** TCP port on 127.0.0.1; 0 or absent: a free one is chosen. */
  readonly port?: number;
  /** Name of the setting that chooses the port, for the error when it is taken. */
  readonly portSetting?: string;
  readonly onProgress?: Progress;
}
