import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { natsServerConfig } from '@vouch/eventstore';
import type { Command } from 'commander';
import { type Context, dataFolder } from '../context.js';
import { misuse } from '../failure.js';
import { note } from '../output.js';
import { prepareDatabases } from '../stack/database.js';
import { hostCapacity, registerFleet } from '../stack/fleet.js';
import { ed25519File, LOG_ORIGIN, makeIdentities } from '../stack/identities.js';
import { openLayout } from '../stack/layout.js';
import { migrate } from '../stack/migrate.js';
import { preparePolicyChain } from '../stack/policy-chain.js';
import { BASE_DOMAIN, operatorToken, prepareFiles } from '../stack/prepare-files.js';
import { writePrivate } from '../stack/private-file.js';
import { serviceNames, serviceSpecs, simulatorSpec } from '../stack/services.js';

/** Ports inside the containers of docker-compose.dev.yml; each container has its own, so they need not differ by host. */
const CONTAINER_PORTS = { pccs: 8081, api: 7080, gateway: 8443, firstHealth: 9400 } as const;

/**
 * `vouch stack …`: the steps of `vouch up` one by one, for an engine (docker-compose.dev.yml) that starts the servers and
 * services itself. Each is idempotent; each writes into the data folder that the containers share.
 */
export function addStackCommands(program: Command): void {
  const stack = program.command('stack').description('the steps of `up` one by one, for container engines');
  stack
    .command('prepare')
    .description('make keys, trust file, tokens, certificates and the nats-server configuration; needs no network')
    .action(async () => {
      const layout = openLayout(dataFolder());
      const identities = makeIdentities(layout);
      note(await prepareFiles(layout, identities));
      const users = identities.map(({ busUser, publicNkey }) => ({ user: busUser, publicNkey }));
      const config = natsServerConfig({ listen: '0.0.0.0:4222', storeDir: '/var/lib/nats', users });
      mkdirSync(layout.natsFolder, { recursive: true });
      writeFileSync(join(layout.natsFolder, 'nats-server.conf'), config, { mode: 0o644 });
    });
  stack
    .command('migrate')
    .description(
      'streams, databases and contracts on NATS_URL, DATABASE_URL, ETH_RPC_URL; writes one env file per service',
    )
    .action(async () => {
      const layout = openLayout(dataFolder());
      const identities = makeIdentities(layout);
      const { natsUrl, databaseUrl, chainUrl } = serverUrls();
      const databases = await prepareDatabases(layout, databaseUrl);
      await migrate(layout, identities, natsUrl, databases);
      const chain = await preparePolicyChain(layout, chainUrl);
      const capacity = hostCapacity();
      const specs = serviceSpecs(layout, identities, {
        natsUrl,
        ...databases,
        redisUrl: process.env.REDIS_URL ?? null,
        chainUrl,
        kmsContract: chain.kmsContract,
        listenHost: '0.0.0.0',
        pccsUrl: process.env.VOUCH_PCCS_URL ?? `http://quote-simulator:${CONTAINER_PORTS.pccs}`,
        apiPort: CONTAINER_PORTS.api,
        gatewayPort: CONTAINER_PORTS.gateway,
        baseDomain: BASE_DOMAIN,
        healthPorts: new Map(serviceNames().map((name, index) => [name, CONTAINER_PORTS.firstHealth + index])),
        hostVcpu: capacity.vcpu,
        hostMemoryMiB: capacity.memoryMiB,
      });
      const folder = join(layout.root, 'env');
      mkdirSync(folder, { recursive: true, mode: 0o700 });
      for (const { name, env } of [
        ...specs,
        simulatorSpec(layout, { listenHost: '0.0.0.0', pccsPort: CONTAINER_PORTS.pccs }),
      ]) {
        writePrivate(
          join(folder, `${name}.env`),
          Object.entries(env)
            .map(([key, value]) => `${key}=${JSON.stringify(value)}\n`)
            .join(''),
        );
      }
      note(`env files written to ${folder}`);
    });
  stack
    .command('register')
    .description(
      'register the hosts and allow the guest image; writes context.json; needs control-api at CONTROL_API_URL',
    )
    .action(async () => {
      const layout = openLayout(dataFolder());
      const chain = await preparePolicyChain(layout, serverUrls().chainUrl);
      const context: Context = {
        apiUrl: process.env.CONTROL_API_URL ?? `http://control-api:${CONTAINER_PORTS.api}`,
        apiToken: operatorToken(layout),
        gateway: { host: '127.0.0.1', port: CONTAINER_PORTS.gateway, baseDomain: BASE_DOMAIN },
        caFile: join(layout.gatewayFolder, 'dev-ca.pem'),
        log: { origin: LOG_ORIGIN, publicKey: ed25519File(join(layout.keysFolder, 'log.pem')) },
        chain: {
          rpcUrl: serverUrls().chainUrl,
          kmsContract: `0x${chain.kmsContract}`,
          walletKeyFile: chain.walletKeyFile,
        },
        audit: { environmentFile: layout.auditEnvironmentFile },
      };
      note((await registerFleet(context)).summary);
      writePrivate(layout.contextFile, `${JSON.stringify(context, null, 2)}\n`);
    });
}

function serverUrls(): { natsUrl: string; databaseUrl: string; chainUrl: string } {
  const need = (name: string): string => {
    const value = process.env[name];
    if (value === undefined || value === '') throw misuse(`${name} is not set`, 'it must name the server to use');
    return value;
  };
  return { natsUrl: need('NATS_URL'), databaseUrl: need('DATABASE_URL'), chainUrl: need('ETH_RPC_URL') };
}
