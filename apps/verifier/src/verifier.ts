import { join } from 'node:path';
import { CollateralClient, OsImageDownloader, osImageRule, unsafeNames } from '@vouch/attestation';
import { jsonServer } from './http/json-server.js';
import { closeServer, listen } from './http/listen.js';
import type { Log } from './log.js';
import type { Settings } from './settings.js';
import { verifyRequest } from './verify-request.js';

export interface RunningVerifier {
  readonly port: number;
  close(): Promise<void>;
}

/** Each verification holds its evidence and collateral in memory; more than this many wait outside. */
const MAX_CONCURRENT = 64;

/**
 * Starts the service: `POST /verify` and `GET /health`.
 * @throws InvalidEndpointError and InvalidImageUrlError for URLs that cannot be used, and the system's error when it cannot
 *   listen
 */
export async function startVerifier(settings: Settings, log: Log, now: () => Date): Promise<RunningVerifier> {
  const { endpoints, trustAnchors, policy, bundle, cacheFolder } = settings;
  const collateral = new CollateralClient({
    endpoints,
    trustAnchors,
    now,
    ...(bundle === undefined ? {} : { bundle }),
    ...(cacheFolder === undefined ? {} : { cacheFolder: join(cacheFolder, 'collateral') }),
  });
  const osImage = osImageRule(imageSource(settings));
  const refreshing = collateral.refreshInBackground();
  const server = jsonServer({
    maxBodyBytes: settings.maxBodyBytes,
    maxConcurrent: MAX_CONCURRENT,
    onFailure: (error) => log.error('request failed', { error }),
    routes: [
      {
        method: 'POST',
        path: '/verify',
        handle: async (body) => {
          const answer = await verifyRequest(await body(), { collateral, trustAnchors, policy, osImage, now });
          log.info('verified', { valid: answer.is_valid, code: answer.code });
          return { status: 200, body: answer };
        },
      },
      {
        method: 'GET',
        path: '/health',
        // The first two members are dstack-verifier's; clients compare them.
        handle: async () => ({
          status: 200,
          body: {
            status: 'ok',
            service: 'dstack-verifier',
            implementation: 'vouch',
            unsafe: unsafeNames(policy),
            collateral: collateral.status(),
          },
        }),
      },
    ],
  });
  const port = await listen(server, settings.host, settings.port);
  return {
    port,
    close: async () => {
      refreshing[Symbol.dispose]();
      await closeServer(server);
    },
  };
}

function imageSource({ imageUrl, cacheFolder }: Settings): OsImageDownloader | undefined {
  if (imageUrl === null) return undefined;
  return new OsImageDownloader({
    ...(imageUrl === undefined ? {} : { urlTemplate: imageUrl }),
    ...(cacheFolder === undefined ? {} : { cacheFolder: join(cacheFolder, 'os-images') }),
  });
}
