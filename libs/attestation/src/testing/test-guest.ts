import { toHex } from '../bytes.js';
import { extendRtmr, RTMR_BYTES } from '../event-log/replay.js';
import { RUNTIME_EVENT_TYPE, runtimeEventDigest } from '../event-log/runtime-event.js';
import { processMeasurements } from '../process-image/process-measurements.js';
import { processVmConfigText } from '../process-image/process-vm-config.js';
import { TestPlatform, type TestQuote } from './test-platform.js';

const hex = (byte: string, sizeBytes: number): string => byte.repeat(sizeBytes);

/** Identity the test guest measures. */
export const TEST_GUEST = {
  appId: hex('11', 20),
  composeHash: hex('22', 32),
  instanceId: hex('44', 20),
  keyProvider: '{"name":"kms","id":"3059"}',
  osImageHash: hex('66', 32),
} as const;

/** A process guest on a test platform: quotes with the registers of its boot and runtime log. */
export class TestGuest {
  readonly platform = new TestPlatform();
  readonly vmConfig = processVmConfigText({ osImageHash: TEST_GUEST.osImageHash, vcpu: 1, memoryMiB: 128 });
  readonly events: readonly Readonly<Record<string, unknown>>[];
  private readonly registers: readonly Uint8Array[];
  private readonly mrTd: Uint8Array;

  constructor() {
    const boot = processMeasurements({ osImageHash: TEST_GUEST.osImageHash, vcpu: 1, memoryMiB: 128 });
    const runtime = [
      ['system-preparing', ''],
      ['app-id', TEST_GUEST.appId],
      ['compose-hash', TEST_GUEST.composeHash],
      ['instance-id', TEST_GUEST.instanceId],
      ['boot-mr-done', ''],
      ['key-provider', Buffer.from(TEST_GUEST.keyProvider).toString('hex')],
      ['system-ready', ''],
    ] as const;
    const digests = runtime.map(([event, payload]) => runtimeEventDigest(event, Buffer.from(payload, 'hex')));
    const rtMr3 = digests.reduce<Uint8Array>(extendRtmr, new Uint8Array(RTMR_BYTES));
    this.registers = [boot.rtMr0, boot.rtMr1, boot.rtMr2, rtMr3];
    this.mrTd = boot.mrTd;
    this.events = [
      ...boot.bootEvents,
      ...runtime.map(([event, payload], i) => ({
        imr: 3,
        event_type: RUNTIME_EVENT_TYPE,
        digest: toHex(digests[i] ?? new Uint8Array()),
        event,
        event_payload: payload,
      })),
    ].map((event) => ({ ...event }));
  }

  get eventLog(): string {
    return JSON.stringify(this.events);
  }

  quote(shape: TestQuote = {}): Uint8Array {
    return this.platform.quote({ rtMrs: this.registers, mrTd: this.mrTd, ...shape });
  }
}
