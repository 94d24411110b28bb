import type { NatsConnection } from '@nats-io/transport-node';
import { eventCatalog } from '@vouch/domain';
import { describe, expect, it } from 'vitest';
import { matchesFilter } from '../subject-filter.js';
import { ServerVersionError } from './bus-errors.js';
import { type BusUser, busUserName, inboxPrefix } from './bus-user.js';
import { createBusUserKey } from './bus-user-key.js';
import { natsPermissions } from './nats-permissions.js';
import { natsServerConfig } from './nats-server-config.js';
import { assertServerVersion, isVersionAtLeast } from './server-version.js';

describe('server version', () => {
  it.each(['2.10.27', '2.10.28', '2.11.0', '2.15.1', '3.0.0', 'v2.12.1', '2.12.0-RC.1'])('takes %s', (version) => {
    expect(isVersionAtLeast(version, '2.10.27')).toBe(true);
  });

  it.each(['2.10.26', '2.9.10', '1.99.99', '', 'unknown', '2.10'])('refuses "%s" and names the remedy', (version) => {
    const connection = { info: { version } } as unknown as NatsConnection;
    expect(() => assertServerVersion(connection)).toThrow(ServerVersionError);
    expect(() => assertServerVersion(connection)).toThrow(/2\.10\.27.*NATS_SERVER_BIN/);
  });
});

describe('bus users', () => {
  it('have names and inboxes of their own, a token for each level', () => {
    const users: BusUser[] = [
      { service: 'migration' },
      { service: 'kms', node: '' },
      { service: 'host-worker', node: 'host-1' },
    ];
    expect(users.map(busUserName)).toEqual(['migration', 'kms', 'host-worker/host-1']);
    expect(users.map(inboxPrefix)).toEqual(['_INBOX.migration', '_INBOX.kms', '_INBOX.host-worker.host-1']);
  });

  it.each(['host-worker', 'gateway'] as const)('a %s without a node gets no rights', (service) => {
    expect(() => natsPermissions({ service, node: '' })).toThrow(TypeError);
  });

  it.each(['host-1.>', '*', '>', 'a.b', 'Host', ''])('a host named "%s" gets no rights', (node) => {
    expect(() => natsPermissions({ service: 'host-worker', node })).toThrow(TypeError);
  });

  it('only the writer of a kind may publish it', () => {
    for (const [type, { kind, writer, perNode }] of Object.entries(eventCatalog)) {
      const id = perNode ? 'n1' : 'x';
      for (const service of ['control-api', 'kms', 'auditor', 'host-worker', 'gateway'] as const) {
        const node = service === 'host-worker' || service === 'gateway' ? 'n1' : '';
        const { allow } = natsPermissions({ service, node }).publish;
        const may = allow.some((filter) => matchesFilter(`evt.${kind}.${id}.i`, filter));
        expect(may, `${service} and ${type}`).toBe(service === writer);
      }
    }
  });
});

describe('server configuration', () => {
  const { publicNkey } = createBusUserKey();
  const base = { listen: '127.0.0.1:4222', storeDir: '/var/lib/x', users: [] };

  it('syncs always, lists users by key with their rights, and admits nobody else', () => {
    const text = natsServerConfig({ ...base, users: [{ user: { service: 'kms', node: '' }, publicNkey }] });
    expect(text).toContain('sync_interval: always');
    expect(text).toContain(`nkey: ${publicNkey}`);
    expect(text).toContain('"evt.grant.>"');
    expect(text).not.toMatch(/no_auth_user|password|allow_responses/);
    expect(text).not.toContain('http:');
  });

  it('has monitoring, TLS and a size bound when asked for', () => {
    const text = natsServerConfig({
      ...base,
      monitor: '127.0.0.1:8222',
      pidFile: '/run/x.pid',
      maxFileStoreBytes: 1024,
      tls: { certFile: '/c.pem', keyFile: '/k.pem' },
    });
    expect(text).toMatch(/http: "127.0.0.1:8222"[\s\S]*cert_file: "\/c.pem"[\s\S]*max_file_store: 1024/);
  });

  it.each(['a"b', 'a\\b', 'a\nb'])('refuses %j as a value', (storeDir) => {
    expect(() => natsServerConfig({ ...base, storeDir })).toThrow(TypeError);
  });

  it('refuses a seed in the place of a public key, without repeating it', () => {
    const seed = new TextDecoder().decode(createBusUserKey().seed);
    const config = () => natsServerConfig({ ...base, users: [{ user: { service: 'migration' }, publicNkey: seed }] });
    expect(config).toThrow(TypeError);
    expect(config).not.toThrow(seed);
  });
});
