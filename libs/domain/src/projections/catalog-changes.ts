import type { ProjectedEvent } from './projected-event.js';
import type { RowChange } from './row-change.js';

/** Rows of apps, releases and hosts. */
export function catalogChanges({ seq, envelope }: ProjectedEvent): RowChange[] {
  const { time } = envelope;
  switch (envelope.type) {
    case 'app.registered': {
      const { appId, name, owner } = envelope.data;
      return [{ op: 'insert', table: 'app', row: { app_id: appId, name, owner, registered_at: time, seq } }];
    }
    case 'release.created': {
      const { releaseId, appId, composeHash, name, appCompose, resources, encryptedEnv, ports } = envelope.data;
      const row = {
        release_id: releaseId,
        app_id: appId,
        compose_hash: composeHash,
        name,
        app_compose: appCompose,
        resources,
        encrypted_env: encryptedEnv,
        ports,
        created_at: time,
        seq,
      };
      return [{ op: 'insert', table: 'release', row }];
    }
    case 'host.registered': {
      const { hostId, driver, capacity, unsafe } = envelope.data;
      const row = {
        host_id: hostId,
        driver,
        vcpu: capacity.vcpu,
        memory_mib: capacity.memoryMiB,
        cordoned: false,
        cordon_reason: '',
        unsafe,
        registered_at: time,
        seq,
      };
      return [{ op: 'insert', table: 'host', row }];
    }
    case 'host.cordoned':
      return [cordon(envelope.data.hostId, true, envelope.data.reason, seq)];
    case 'host.uncordoned':
      return [cordon(envelope.data.hostId, false, '', seq)];
    default:
      return [];
  }
}

function cordon(hostId: string, cordoned: boolean, reason: string, seq: number): RowChange {
  return {
    op: 'update',
    table: 'host',
    where: [{ host_id: hostId }],
    set: { cordoned, cordon_reason: reason, seq },
  };
}
