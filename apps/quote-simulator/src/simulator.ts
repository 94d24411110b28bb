import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { CollateralSource } from './collateral/collateral-source.js';
import { pccsService } from './collateral/pccs-service.js';
import { SimulatedPlatform } from './defects/simulated-platform.js';
import { type Handler, jsonService, RequestRefusedError } from './http/json-service.js';
import { closeServer, listenOnSocket, listenOnTcp } from './http/listen.js';
import type { Log } from './log.js';
import { loadOrCreatePki } from './pki/platform-pki.js';
import type { Settings } from './settings.js';
import { adminService } from './tds/admin-service.js';
import { TdRegistry } from './tds/td-registry.js';

/** A running simulator. */
export interface Simulator {
  readonly pccsPort: number;
  /** Path of the trust anchor, PEM. */
  readonly rootCaFile: string;
  /** TDs taken up from disk. */
  readonly restored: number;
  close(): Promise<void>;
}

/**
 * Starts development TDX: PKI, collateral service, admin socket and the guest channels of every stored TD.
 * The admin socket opens first: while another simulator answers on it, this one touches nothing.
 * Throws ListenerTakenError, PkiCorruptError, PlatformStateCorruptError, TdStateCorruptError, or the system's error.
 */
export async function startSimulator(settings: Settings, log: Log, now: () => Date): Promise<Simulator> {
  const { dataDir } = settings;
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  let serve: Handler = async () => {
    throw new RequestRefusedError(503, 'starting', 'the simulator is starting; ask again in a moment');
  };
  const admin = jsonService(
    (request) => serve(request),
    (error) => log.error('admin request failed', { error }),
  );
  await listenOnSocket(admin, settings.adminSocket);
  let registry: TdRegistry | undefined;
  try {
    const pki = await loadOrCreatePki(dataDir, now());
    const platform = new SimulatedPlatform(pki, dataDir, now);
    if (settings.unsafeDefects) await platform.restore();
    const source = new CollateralSource(platform, dataDir, now);
    await source.current();
    const opened = new TdRegistry(dataDir, platform, log);
    registry = opened;
    await opened.restore();
    const health = () => ({ status: 'ok', tds: opened.size });
    const pccs = jsonService(pccsService(platform, source, health), (error) =>
      log.error('PCCS request failed', { error }),
    );
    const pccsPort = await listenOnTcp(pccs, settings.pccsHost, settings.pccsPort);
    serve = adminService(opened, platform, settings.unsafeDefects);
    return {
      pccsPort,
      rootCaFile: join(dataDir, 'root-ca.pem'),
      restored: opened.size,
      close: async () => {
        await Promise.all([closeServer(admin), closeServer(pccs)]);
        await opened.close();
      },
    };
  } catch (error) {
    await closeServer(admin);
    await registry?.close();
    throw error;
  }
}
