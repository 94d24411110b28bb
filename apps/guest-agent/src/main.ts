/**
 * Guest agent: what runs first inside a confidential guest. It measures what it was given, proves that to the KMS, takes
 * the keys of the grant, serves dstack's socket to the app and keeps the app running. The invariant it keeps: no key is
 * used before the decision that carries it is verified down to the log and the KMS root, and no app runs without keys.
 */
import { AgentFailure, EXIT } from './agent-failure.js';
import { lockState } from './agent-lock.js';
import { agentLog } from './agent-log.js';
import { type AgentArguments, readArguments } from './arguments.js';
import { runGuest } from './guest-agent.js';
import { HostClient } from './host/host-client.js';
import { ProgressReporter } from './host/progress-reporter.js';
import { UnixRequestError } from './host/unix-json.js';

const FLUSH_MS = 3_000;

async function main(): Promise<number> {
  process.umask(0o077);
  const log = agentLog((line) => process.stdout.write(line));
  let args: AgentArguments;
  try {
    args = readArguments(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`guest-agent: ${(error as Error).message}\n`);
    return EXIT.usage;
  }
  const stopping = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.on(name, () => {
      log.info('stopping', { signal: name });
      stopping.abort(new DOMException(`stopped by ${name}`, 'AbortError'));
    });
  }
  const host = new HostClient(args.hostSocket, stopping.signal);
  const progress = new ProgressReporter(host, log);
  try {
    const lock = await lockState(args.state);
    try {
      await runGuest({ args, host, progress, log, signal: stopping.signal });
    } finally {
      lock.release();
    }
    return EXIT.stopped;
  } catch (error) {
    if (stopping.signal.aborted) return EXIT.stopped;
    const { code, exitCode, message } = describe(error);
    log.error('failed', { code, error: message });
    progress.report('failed', `${code}: ${message}`);
    return exitCode;
  } finally {
    await progress.flush(FLUSH_MS);
    log.info('stopped');
  }
}

function describe(error: unknown): { code: string; exitCode: number; message: string } {
  if (error instanceof AgentFailure) return { code: error.code, exitCode: error.exitCode, message: error.message };
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof UnixRequestError) return { code: 'host-refused', exitCode: EXIT.failed, message };
  return { code: 'unexpected', exitCode: EXIT.failed, message };
}

main().then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(`guest-agent: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    process.exit(EXIT.failed);
  },
);
