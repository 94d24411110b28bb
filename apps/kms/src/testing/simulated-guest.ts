import { request } from 'node:http';
import { join } from 'node:path';
import { grantReportData, processVmConfigText, RUNTIME_EVENT_TYPE, runtimeEventDigest } from '@vouch/attestation';
import { type Claims, canonicalJson, type EventData, type Evidence } from '@vouch/domain';
import { generateHpkeKeyPair, generateP256, type HpkeKeyPair, type P256Key } from '@vouch/keys';

/** Who a guest measures itself to be; all hex. */
export interface GuestIdentity {
  readonly appId: string;
  readonly instanceId: string;
  readonly composeHash: string;
}

interface LoggedEvent {
  readonly imr: number;
  readonly event_type: number;
  readonly digest: string;
  readonly event: string;
  readonly event_payload: string;
}

/** A guest on the quote simulator: it measures, makes keys and quotes, as the guest agent does. */
export class SimulatedGuest {
  readonly identity: P256Key = generateP256();
  #runtimeEvents: LoggedEvent[] = [];

  private constructor(
    private readonly channel: string,
    readonly osImageHash: string,
    readonly hpke: HpkeKeyPair,
    readonly measured: GuestIdentity,
  ) {}

  static async boot(simulatorDir: string, osImageHash: string, measured: GuestIdentity): Promise<SimulatedGuest> {
    const channel = join(simulatorDir, `${measured.instanceId.slice(0, 8)}.sock`);
    const vmConfig = processVmConfigText({ osImageHash, vcpu: 1, memoryMiB: 512 });
    const mrConfigId = `01${measured.composeHash}${'00'.repeat(15)}`;
    const definition = { socketPath: channel, vmConfig, mrConfigId };
    await ask(join(simulatorDir, 'admin.sock'), 'PUT', `/tds/${measured.instanceId}`, definition);
    const guest = new SimulatedGuest(channel, osImageHash, await generateHpkeKeyPair(), measured);
    for (const [event, payload] of [
      ['system-preparing', ''],
      ['app-id', measured.appId],
      ['compose-hash', measured.composeHash],
      ['instance-id', measured.instanceId],
      ['boot-mr-done', ''],
    ] as const) {
      await guest.#measure(event, payload);
    }
    return guest;
  }

  claims(hostId: string, epoch: number, challenge: string): Claims {
    const { appId, instanceId } = this.measured;
    const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
    return {
      ...{ version: 1, challenge, hostId, appId, instanceId, epoch },
      hpkeKey: hex(this.hpke.publicKey),
      wireguardKey: 'e1'.repeat(32),
      tlsKey: hex(this.identity.spki),
    };
  }

  async evidence(claims: Claims): Promise<Evidence> {
    return await this.evidenceOver(grantReportData(canonicalJson(claims)));
  }

  /** Quote over 64 bytes of report data, with everything measured until now. */
  async evidenceOver(reportData: Uint8Array): Promise<Evidence> {
    const body = { reportData: Buffer.from(reportData).toString('hex') };
    const { quote } = (await ask(this.channel, 'POST', '/quote', body)) as { quote: string };
    const boot = (await ask(this.channel, 'GET', '/boot-log')) as LoggedEvent[];
    return {
      quote,
      eventLog: JSON.stringify([...boot, ...this.#runtimeEvents]),
      vmConfig: processVmConfigText({ osImageHash: this.osImageHash, vcpu: 1, memoryMiB: 512 }),
    };
  }

  /** One more runtime event, into register and log. */
  async measure(event: string, payload: Uint8Array): Promise<void> {
    await this.#measure(event, Buffer.from(payload).toString('hex'));
  }

  async submission(hostId: string, epoch: number, challenge: string): Promise<EventData<'attestation.submitted'>> {
    const claims = this.claims(hostId, epoch, challenge);
    const { instanceId } = this.measured;
    return { hostId, instanceId, epoch, evidence: await this.evidence(claims), claims };
  }

  async #measure(event: string, payload: string): Promise<void> {
    const digest = Buffer.from(runtimeEventDigest(event, Buffer.from(payload, 'hex'))).toString('hex');
    await ask(this.channel, 'POST', '/extend', { rtmr: 3, digest });
    const logged = { imr: 3, event_type: RUNTIME_EVENT_TYPE, digest, event, event_payload: payload };
    this.#runtimeEvents = [...this.#runtimeEvents, logged];
  }
}

/** One JSON request over a unix socket. Throws for any status but 2xx. */
function ask(socketPath: string, method: string, path: string, body?: unknown): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, method, path }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        if ((response.statusCode ?? 0) >= 300) reject(new Error(`${method} ${path}: ${response.statusCode} ${text}`));
        else resolve(text === '' ? undefined : JSON.parse(text));
      });
    });
    call.on('error', reject);
    call.end(body === undefined ? undefined : JSON.stringify(body));
  });
}
