import { BaseRpcContext } from '@nestjs/microservices';

/** What a handler may know about the delivery besides the event. */
export interface DeliveryInfo {
  readonly consumer: string;
  /** 1 for the first delivery of this event to this consumer. */
  readonly deliveries: number;
  /** Aborts when the service shuts down: long waits should end, unfinished work is delivered again. */
  readonly signal: AbortSignal;
}

export class JetStreamContext extends BaseRpcContext<[DeliveryInfo]> {
  constructor(info: DeliveryInfo) {
    super([info]);
  }

  get consumer(): string {
    return this.args[0].consumer;
  }

  get deliveries(): number {
    return this.args[0].deliveries;
  }

  get signal(): AbortSignal {
    return this.args[0].signal;
  }
}
