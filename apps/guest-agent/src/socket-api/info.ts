import { deriveMeasurements } from '@vouch/attestation';
import { readTdReport } from '../grant/evidence.js';
import type { GuestContext } from './guest-context.js';
import { issue } from './tls-key.js';

/** Info (AppInfo of dstack's v0 API). Measurements are read once, after `system-ready`; the demo certificate is minted lazily. */
export class InfoService {
  #certificate = '';
  #minting = false;
  #tcb: Promise<TcbInfo> | undefined;

  constructor(private readonly context: GuestContext) {}

  async info(): Promise<Record<string, unknown>> {
    const { shared, grant } = this.context;
    this.#mintCertificate();
    const tcb = await this.#tcbInfo();
    return {
      app_id: shared.instance.appId,
      instance_id: shared.instance.instanceId,
      app_cert: this.#certificate,
      tcb_info: JSON.stringify(tcb, null, 2),
      app_name: shared.appCompose.name,
      device_id: tcb.device_id,
      mr_aggregated: tcb.mr_aggregated,
      os_image_hash: tcb.os_image_hash,
      key_provider_info: keyProviderInfo(grant.payload.keyProvider.id),
      compose_hash: shared.composeHash,
      vm_config: shared.sysConfig.vm_config,
      cloud_vendor: '',
      cloud_product: '',
    };
  }

  /** As in dstack, `app_cert` is empty until the request in the background came back. */
  #mintCertificate(): void {
    if (this.#minting || this.#certificate !== '') return;
    this.#minting = true;
    issue(this.context, { subject: 'demo-cert', altNames: [], usages: ['serverAuth', 'clientAuth'] })
      .then(({ certificate_chain: chain }) => {
        this.#certificate = chain.join('\n');
      })
      .catch((error: unknown) => this.context.log.warn('no app certificate', { error: (error as Error).message }))
      .finally(() => {
        this.#minting = false;
      });
  }

  #tcbInfo(): Promise<TcbInfo> {
    this.#tcb ??= readTcbInfo(this.context).catch((error: unknown) => {
      this.#tcb = undefined;
      throw error;
    });
    return this.#tcb;
  }
}

/** Exact payload of the `key-provider` event; field order and spacing are measured. */
export function keyProviderInfo(rootCaSpki: string): string {
  return JSON.stringify({ name: 'kms', id: rootCaSpki });
}

interface TcbInfo {
  readonly mrtd: string;
  readonly rtmr0: string;
  readonly rtmr1: string;
  readonly rtmr2: string;
  readonly rtmr3: string;
  readonly mr_aggregated: string;
  readonly os_image_hash: string;
  readonly compose_hash: string;
  /** As the KMS verified it: dstack's own Info answers the hash of nothing here. */
  readonly device_id: string;
  readonly event_log: readonly unknown[];
  readonly app_compose: string;
}

async function readTcbInfo(context: GuestContext): Promise<TcbInfo> {
  const { shared, grant, events, bootLog } = context;
  const report = readTdReport(await context.tsm.quote(new Uint8Array(64)));
  const provider = Buffer.from(keyProviderInfo(grant.payload.keyProvider.id));
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
  return {
    mrtd: hex(report.mrTd),
    rtmr0: hex(report.rtMr0),
    rtmr1: hex(report.rtMr1),
    rtmr2: hex(report.rtMr2),
    rtmr3: hex(report.rtMr3),
    mr_aggregated: hex(deriveMeasurements(report, provider).mrAggregated),
    os_image_hash: grant.payload.osImageHash,
    compose_hash: shared.composeHash,
    device_id: grant.decision.grant.deviceId,
    event_log: events.tdxEvents(bootLog),
    app_compose: shared.appComposeText,
  };
}
