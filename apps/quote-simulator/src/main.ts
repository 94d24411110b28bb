/**
 * Quote simulator: development TDX. It plays Intel (root CA, PCK and TCB certificates, CRLs, signed TCB info and QE
 * identity, a PCCS) and the hardware (registers and correctly signed quotes for each guest). A standard verifier
 * accepts its quotes once its root is the trust anchor, which only a development configuration may set. The invariant it
 * keeps: registers only ever move forward by extension, through restarts and kills, until the guest is launched anew.
 */
import { jsonLog } from './log.js';
import { readSettings, SettingsInvalidError } from './settings.js';
import { startSimulator } from './simulator.js';

/** sysexits.h: the configuration is wrong. */
const EXIT_CONFIG = 78;

async function main(): Promise<void> {
  process.umask(0o077);
  // A reader of the log that goes away must not take the registers with it.
  process.stdout.on('error', () => undefined);
  const log = jsonLog((line) => process.stdout.write(line));
  const settings = readSettings(process.env);
  const simulator = await startSimulator(settings, log, () => new Date());
  const stop = (signal: NodeJS.Signals) => {
    log.info('stopping', { signal });
    simulator.close().then(
      () => process.exit(0),
      (error: unknown) => {
        log.error('stop failed', { error });
        process.exit(1);
      },
    );
  };
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
  log.info('ready', {
    pccs: `http://${settings.pccsHost.includes(':') ? `[${settings.pccsHost}]` : settings.pccsHost}:${simulator.pccsPort}`,
    adminSocket: settings.adminSocket,
    rootCa: simulator.rootCaFile,
    tds: simulator.restored,
    ...(settings.unsafeDefects ? { unsafe: ['unsafeDefects'] } : {}),
  });
}

main().catch((error: unknown) => {
  const reason = error instanceof Error ? error.message : String(error);
  process.stderr.write(`quote-simulator: ${reason}\n`);
  process.exit(error instanceof SettingsInvalidError ? EXIT_CONFIG : 1);
});
