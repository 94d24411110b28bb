import { jetstreamManager } from '@nats-io/jetstream';
import { BUCKETS, BusConfigurationError, CONSUMERS, provisionBus, STREAMS } from '@vouch/eventstore';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTestBus, type TestBus } from './test-bus.js';

const EVENTS_MAX_BYTES = 256 * 1024 * 1024;

describe('provisioning the bus', () => {
  let bus: TestBus;
  beforeAll(async () => {
    bus = await startTestBus({ provision: { eventsMaxBytes: EVENTS_MAX_BYTES } });
  });
  afterAll(() => bus.stop());

  it('makes every stream, bucket and durable, and may be repeated', async () => {
    const connection = await bus.connect({ service: 'migration' });
    await provisionBus(connection, { eventsMaxBytes: EVENTS_MAX_BYTES });
    const manager = await jetstreamManager(connection);
    const names: string[] = [];
    for await (const stream of manager.streams.list()) names.push(stream.config.name);
    expect(names.sort()).toEqual([...Object.keys(STREAMS), ...Object.values(BUCKETS).map(({ name }) => name)].sort());
    const durables: string[] = [];
    for await (const consumer of manager.consumers.list('EVENTS')) durables.push(consumer.name);
    expect(durables.sort()).toEqual(Object.keys(CONSUMERS).sort());
  });

  it('corrects what drifted and keeps what is stored', async () => {
    const connection = await bus.connect({ service: 'migration' });
    const manager = await jetstreamManager(connection);
    await manager.streams.update('LOGS', { max_msgs_per_subject: 5 });
    await manager.consumers.update('EVENTS', 'kms-attestation', { max_ack_pending: 7 });
    await provisionBus(connection, { eventsMaxBytes: EVENTS_MAX_BYTES });
    expect((await manager.streams.info('LOGS')).config.max_msgs_per_subject).toBe(STREAMS.LOGS.max_msgs_per_subject);
    expect((await manager.consumers.info('EVENTS', 'kms-attestation')).config.max_ack_pending).toBe(
      CONSUMERS['kms-attestation'].config.max_ack_pending,
    );
  });

  it('keeps the event log from deletion, even by the migration user', async () => {
    const manager = await jetstreamManager(await bus.connect({ service: 'migration' }));
    await expect(manager.streams.deleteMessage('EVENTS', 1)).rejects.toThrow();
    await expect(manager.streams.purge('EVENTS')).rejects.toThrow();
    const { config } = await manager.streams.info('EVENTS');
    await expect(manager.streams.update('EVENTS', { ...config, deny_delete: false })).rejects.toThrow();
  });

  it('does not believe a single server that claims to keep three copies', async () => {
    const connection = await bus.connect({ service: 'migration' });
    const refusal = provisionBus(connection, { eventsMaxBytes: EVENTS_MAX_BYTES, replicas: 3 });
    await expect(refusal).rejects.toThrow(BusConfigurationError);
    await expect(refusal).rejects.toMatchObject({ code: 'bus-configuration', field: 'cluster', retryable: false });
    const manager = await jetstreamManager(connection);
    expect((await manager.streams.info('EVENTS')).config.num_replicas).toBe(1);
  });

  it('says which setting of which stream differs and cannot be changed', async () => {
    const connection = await bus.connect({ service: 'migration' });
    const manager = await jetstreamManager(connection);
    await manager.streams.delete('KV_gateways');
    await manager.streams.add({ ...BUCKETS.gateways, subjects: [...BUCKETS.gateways.subjects], storage: 'memory' });
    await expect(provisionBus(connection, { eventsMaxBytes: EVENTS_MAX_BYTES })).rejects.toThrow(
      /KV_gateways.*storage|storage/,
    );
    await manager.streams.delete('KV_gateways');
    await provisionBus(connection, { eventsMaxBytes: EVENTS_MAX_BYTES });
  });

  it('syncs every write before it acknowledges', async () => {
    const { readFile } = await import('node:fs/promises');
    const config = await readFile(bus.configPath, 'utf8');
    expect(config).toMatch(/sync_interval: always/);
  });
});
