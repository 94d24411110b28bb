/**
 * Verifier: answers over HTTP whether evidence of a confidential VM is genuine, in the shape of dstack-verifier, with
 * every check it made. It holds no keys and keeps nothing but public collateral; the invariant is that `is_valid` is true
 * only when every check passed that can have a meaning for the evidence.
 */
import { InvalidEndpointError, InvalidImageUrlError } from '@vouch/attestation';
import { jsonLog } from './log.js';
import { readSettings, SettingsInvalidError } from './settings.js';
import { startVerifier } from './verifier.js';

/** sysexits.h: the configuration is wrong. */
const EXIT_CONFIG = 78;

async function main(): Promise<void> {
  process.stdout.on('error', () => undefined);
  const log = jsonLog((line) => process.stdout.write(line));
  const settings = readSettings(process.env);
  const verifier = await startVerifier(settings, log, () => new Date());
  const stop = (signal: NodeJS.Signals) => {
    log.info('stopping', { signal });
    verifier.close().then(
      () => process.exit(0),
      () => process.exit(1),
    );
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
  const host = settings.host.includes(':') ? `[${settings.host}]` : settings.host;
  log.info('ready', { url: `http://${host}:${verifier.port}` });
}

main().catch((error: unknown) => {
  const configuration = [SettingsInvalidError, InvalidEndpointError, InvalidImageUrlError].some(
    (kind) => error instanceof kind,
  );
  process.stderr.write(`verifier: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(configuration ? EXIT_CONFIG : 1);
});
